"""Trials: a labelled sample sent at once, to see whether a subscription works."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from service.channels.base import Parcel
from service.db import Database
from service.errors import ClipbellError, DeliveryError, Fault, InvalidInput
from service.model import EventType, Subscription, new_id
from service.notices import Post, notice_of
from service.samples import sample_event
from service.subscribing import Wish, secrets_of


@dataclass(frozen=True)
class Trial:
    """Where the sample goes, and what signs it; `target` in the clear."""

    account_id: str
    subscription_id: str
    channel: str
    target: str
    format: str
    events: tuple[str, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """How a trial went; `error` is None when the sample was taken."""

    status: int | None
    error: str | None
    response: str
    milliseconds: int


def trial_of(post: Post, subscription: Subscription, now: datetime) -> Trial:
    """A trial of a subscription, whether it is on or off."""
    return Trial(
        subscription.account_id,
        subscription.id,
        subscription.channel,
        post.sealer.open(subscription.target),
        subscription.format,
        tuple(subscription.events),
        secrets_of(post.sealer, subscription, now),
    )


def trial_of_wish(account_id: str, wish: Wish, secret: str) -> Trial:
    """A trial of a subscription that is not made yet."""
    place = (wish.channel, wish.target, wish.format, wish.events)
    return Trial(account_id, "", *place, (secret,))


def make_trial(db: Database, post: Post, trial: Trial, now: datetime) -> Verdict:
    """Send one sample, without a delivery's row and without a second try."""
    began = time.monotonic()
    try:
        channel = post.channels[trial.channel]
        receipt = channel.send(_parcel(db, post, trial, now))
    except KeyError:
        error = f"the channel {trial.channel} is not set up on this server"
        return Verdict(None, error, "", 0)
    except DeliveryError as error:
        return Verdict(error.status, error.message, error.response, _since(began))
    except (ClipbellError, OSError) as error:
        return Verdict(None, f"the message could not be made: {error}", "", _since(began))
    return Verdict(receipt.status, None, receipt.response, _since(began))


def insist(trial: Trial, verdict: Verdict) -> None:
    """Raises InvalidInput for a trial before saving that failed, saying why."""
    if verdict.error is None:
        return
    message = f"the test failed, so nothing was saved: {verdict.error}"
    if trial.channel == "webhook" and verdict.status in (401, 403):
        # It cannot know the secret: nobody is told that before the subscription is saved.
        message += "; if it checks signatures, save without a test, give it the secret, then test"
    raise InvalidInput([Fault("/target", "test_failed", message)])


def _parcel(db: Database, post: Post, trial: Trial, now: datetime) -> Parcel:
    channel = post.channels[trial.channel]
    wanted = trial.events or (EventType.JOB_SUCCEEDED,)
    known = [type_ for type_ in EventType if type_ in wanted]
    usual = EventType.JOB_SUCCEEDED
    event = sample_event(trial.account_id, usual if usual in known else known[0], now)
    with db.read() as tx:
        notice = notice_of(tx, post, event, now, subscription_id=trial.subscription_id)
    return Parcel(
        delivery_id=new_id("dlv", now),
        event_id=event.id,
        target=trial.target,
        secrets=trial.secrets,
        body=channel.render(notice, trial.format),
        now=now,
    )


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
