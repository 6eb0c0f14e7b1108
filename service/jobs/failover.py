"""
Failover: a job with `auto` goes to another vendor after a certain refusal.

Never after a missing answer: a job that may have been accepted stays with its vendor.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service import store
from service.jobs.budget import objection, stated_price
from service.jobs.choice import Choice, Market, next_choice
from service.jobs.journal import Refusal
from service.model import Job, JobState
from service.model.error_codes import HOLD_CODES, RETRY_CODES, with_code
from service.retry import LONGEST_VENDOR_HINT, bounded
from service.settings import Settings

log = logging.getLogger(__name__)

#: Refusals for a reason other than the job itself.
ELSEWHERE = HOLD_CODES | RETRY_CODES | {"NOT_FOUND_MODEL", "FORBIDDEN"}
#: Objections that do not end at midnight: the vendor could never get the job.
LASTING = ("PRICE_UNKNOWN", "JOB_BUDGET")
#: The refusing vendor gets no new job for this many seconds, unless it names a time itself.
PAUSE_SECONDS = 60.0


def fail_over(
    tx: Connection, settings: Settings, job: Job, refusal: Refusal, now: datetime
) -> bool:
    """
    Queue the claimed job for the next vendor that accepts its input; False if there is none.

    A vendor at which the budget would hold the job for good is skipped.
    """
    if job.requested is None or job.error is not None or refusal.code not in ELSEWHERE:
        return False
    refused_by = [*(job.refused_by or []), job.provider]
    held = store.providers.all_held(tx)
    market = Market(settings.usable_vendors, settings.prices, now.date(), held)
    choice = next_choice(market, job.model, job.requested, refused_by)
    if choice is None:
        return False
    moved = replace(job, provider=choice.offer.provider, input=choice.input)
    held_there = objection(tx, settings, moved, now)
    if held_there is not None and held_there.code in LASTING:
        return False
    if not _move(tx, settings, job, choice, refused_by, now):
        return False
    why = with_code(refusal.code, refusal.message)
    message = f"{job.provider} refused it ({why}); {choice.first()} is next"
    store.steps.add(tx, job.id, "failed over", message, now)
    log.warning(
        "%s goes to %s: %s refused it (%s)", job.id, choice.offer.provider, job.provider, why
    )
    # After the job: a holder of a provider's row must not wait for a job's row.
    store.providers.count_failover(tx, job.provider)
    if refusal.code in HOLD_CODES:
        store.providers.hold(tx, job.provider, why)
    elif refusal.code in RETRY_CODES:
        wait = bounded(refusal.retry_after, LONGEST_VENDOR_HINT) or PAUSE_SECONDS
        store.providers.pause(tx, job.provider, now + timedelta(seconds=wait))
    return True


def _move(
    tx: Connection,
    settings: Settings,
    job: Job,
    choice: Choice,
    refused_by: list[str],
    now: datetime,
) -> bool:
    low, high = stated_price(settings.prices, choice.offer, choice.input)
    return store.jobs.settle_claimed(
        tx,
        job,
        state=JobState.QUEUED,
        provider=choice.offer.provider,
        route=choice.route,
        input=choice.input,
        refused_by=refused_by,
        estimated_min=low,
        estimated_max=high,
        due_at=now,
        sent_at=None,
    )
