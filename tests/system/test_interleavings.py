"""Two transactions at the same moment: none undoes the other, and no two wait for each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, select, text, update
from support.factories import MOVIE, kept_video
from support.harness import Harness
from support.reach import access
from support.servers import eventually

from service import store
from service.accounts import create_account
from service.bootstrap import build
from service.callbacks.ingest import KEPT_BYTES_PER_JOB
from service.callbacks.process import replay_callback
from service.deliveries.attempts import LEASE_SECONDS
from service.deliveries.redelivery import (
    RESENDS,
    Recovery,
    recover_subscription,
    resend_delivery,
)
from service.deliveries.secrets import rotate_secret, secrets_of
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import (
    UNSUBSCRIBED,
    get_or_create_internal,
    parse_changes,
    subscribe,
    unsubscribe,
)
from service.errors import Conflict, TooOften
from service.events.record import number_events, record_event
from service.jobs.answers import settle, settle_refused
from service.jobs.journal import CreateAnswer, Refusal
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.polling import handle_expired, may_ask, settle_poll
from service.jobs.provider_status import release_provider
from service.jobs.requests import cancel_job
from service.model import (
    Account,
    Delivery,
    DeliveryState,
    EventType,
    Job,
    JobState,
    Outcome,
    Submission,
    Subscription,
    TaskState,
    VideoState,
)
from service.model.error_codes import as_stored, job_error
from service.ops.setup import initialise
from service.ops.upkeep import CLOCK_SLACK, QUARANTINE
from service.outbound.client import Outbound
from service.providers.apixo import Apixo
from service.providers.kling import Kling
from service.settings import load_settings
from service.store.database import Database
from service.store.schema import deliveries, jobs, providers
from service.videos.retention import delete_expired, expired_videos, purge_rows

pytestmark = pytest.mark.postgresql
#: Where one writes at a time there is no such moment, or no row is locked.
ROWS_ARE_LOCKED = pytest.mark.postgresql(only=True)

T = TypeVar("T")


def begun(pool: ThreadPoolExecutor, db: Database, act: Callable[[Connection], T]) -> Future[T]:
    """Another transaction of this pool; it has ended, or waits for what somebody has locked."""

    def run() -> T:
        with db.write() as tx:
            return act(tx)

    future = pool.submit(run)
    if not db.is_sqlite:
        eventually(lambda: future.done() or _waits(db))
    return future


def _waits(db: Database) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with db.read() as tx:
        return bool(tx.scalar(text(waiting)))


def subscribed(harness: Harness, account: Account | None = None) -> Subscription:
    """A webhook of this account, at which nobody listens."""
    spec = SubscriptionSpec("webhook", "http://127.0.0.1:9/hook")
    own = (account or harness.account).id
    with harness.db.write() as tx:
        return subscribe(tx, harness.wiring.encryptor, own, spec, harness.clock())[0]


def now_as(harness: Harness, subscription: Subscription) -> Subscription:
    """The subscription as it is now."""
    with harness.db.read() as tx:
        found = store.subscriptions.find(tx, subscription.id)
    assert found is not None
    return found


def failed_job(harness: Harness, account: Account | None = None) -> Job:
    """A job whose failure is an event."""
    job = harness.new_job()
    if account:
        job = replace(job, account_id=account.id)
    with harness.db.write() as tx:
        record_event(tx, job, EventType.JOB_FAILED, harness.clock())
    return job


def the_delivery(harness: Harness) -> Delivery:
    """The only delivery that there is."""
    with harness.db.read() as tx:
        (found,) = store.deliveries.page(tx, harness.account.id, 10)
    return found


class Taking(Apixo):
    """A vendor that takes every job."""

    def __init__(self, outbound: Outbound) -> None:
        super().__init__(access(outbound, "http://127.0.0.1:9"))

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Makes a task of it."""
        return Submission(f"task of {job.id}")


def submitted(harness: Harness, **changes: Any) -> Job:
    """A job that the vendor has taken."""
    job = harness.new_job()
    send_next(harness)
    if changes:
        with harness.db.write() as tx:
            store.jobs.change(tx, job.id, [JobState.SUBMITTED], **changes)
    return harness.job(job)


def send_next(harness: Harness) -> None:
    """A worker sends the next job to a vendor that takes it."""
    chosen: Any = {"apixo": Taking(harness.wiring.outbound)}
    replace(harness.wiring, providers=chosen).units()["submit"]()


@ROWS_ARE_LOCKED
def test_no_credits_while_a_job_goes_out(harness: Harness) -> None:
    """A job that a worker sends while another is refused for credits is not failed by that."""
    refused = harness.new_job()
    with harness.db.write() as tx:
        claimed = store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 15.0)
    assert claimed is not None and refused.id == claimed.id
    first = harness.new_job(source="apixo")
    harness.clock.advance(1)
    second = harness.new_job(source="apixo")
    refusal = Refusal("INSUFFICIENT_CREDITS", "none left")

    def refuse(tx: Connection) -> None:
        settle_refused(tx, claimed, refusal, harness.clock())

    with ThreadPoolExecutor(1) as pool, harness.db.write() as holder:
        store.jobs.lock(holder, first.id)
        refusing = begun(pool, harness.db, refuse)
        send_next(harness)
    refusing.result()

    assert JobState.FAILED is harness.job(first).state
    assert JobState.SUBMITTED is harness.job(second).state


@ROWS_ARE_LOCKED
@pytest.mark.parametrize("settings_given", [{"quota_bytes": 3 * len(MOVIE)}], ids=["room for 3"])
def test_two_look_at_the_quota(harness: Harness) -> None:
    """Two workers that delete what is above the quota delete it once, and no more."""
    videos = []
    for _ in range(6):
        videos.append(kept_video(harness))
        harness.clock.advance(60)
    w, now = harness.wiring, harness.clock()
    with ThreadPoolExecutor(1) as pool, harness.db.write() as first:
        # The other one has added up what is stored, and waits before it chooses.
        first.execute(text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"))
        second = pool.submit(delete_expired, harness.db, w.settings, now)
        eventually(lambda: second.done() or _waits(harness.db))
        for one in expired_videos(first, w.settings, now):
            store.retention.mark_deleted(first, one.video, one.reason, now, now)
    second.result()
    with harness.db.read() as tx:
        left = [store.videos.find(tx, video.id) for video in videos]

    kept = [video is not None and video.state is VideoState.STORED for video in left]
    assert [False, False, False, True, True, True] == kept


class Resolving(Kling):
    """A vendor that has no task; while it is asked a person resolves the job."""

    def __init__(self, harness: Harness) -> None:
        super().__init__(access(harness.wiring.outbound, "http://127.0.0.1:9"))
        self._harness = harness

    def find(self, job: Job, job_of: Callable[[str], str | None]) -> str | None:
        """Nothing."""
        with self._harness.db.write() as tx:
            resolve_by_hand(tx, job, Resolution(resend=True), self._harness.clock())
        return None


@pytest.mark.parametrize("settings_given", [{"kling_api_key": "k"}], ids=["kling"])
def test_resolved_while_it_is_looked_up(harness: Harness) -> None:
    """A job that a person sends once more during its last lookup does not fail by that lookup."""
    body = {"model": "kling-2.5-turbo", "provider": "kling"}
    job = harness.new_job(input={"prompt": "A fox", "duration": 5}, **body)
    now = harness.clock.advance(600)
    error = as_stored(job_error("SUBMIT_FAILED_UNKNOWN", "502"))
    row = {"state": JobState.UNKNOWN, "error": error, "sent_at": job.created_at}
    with harness.db.write() as tx:
        due = {"due_at": now, "deadline_at": now}
        store.jobs.change(tx, job.id, [JobState.QUEUED], **row, **due)
    w = harness.wiring
    handle_expired(w.db, {"kling": Resolving(harness)}, w.settings, w.signer, w.clock)

    assert JobState.QUEUED is harness.job(job).state


def test_secret_rotated_twice_at_once(harness: Harness) -> None:
    """Of two new secrets that two people made at once, both sign."""
    w, before, now = harness.wiring, subscribed(harness), harness.clock()

    def rotate(tx: Connection) -> str:
        return rotate_secret(tx, w.encryptor, before, now)

    with ThreadPoolExecutor(1) as pool, harness.db.write() as tx:
        first = rotate(tx)
        rotating = begun(pool, harness.db, rotate)

    assert {first, rotating.result()} == set(secrets_of(w.encryptor, now_as(harness, before), now))


def test_changed_twice_at_once(harness: Harness) -> None:
    """Two people change two fields of a subscription at once: both changes stay."""
    w, before = harness.wiring, subscribed(harness)
    wanted = ({"events": ["job.failed"]}, {"name": "Ops"})
    found = [parse_changes(w.channels, w.encryptor, before, fields) for fields in wanted]
    with harness.db.write() as tx:
        for changes in found:
            store.subscriptions.change(tx, before.id, **changes)
    after = now_as(harness, before)

    assert (["job.failed"], "Ops") == (after.events, after.name)


def test_recovered_twice_at_once(harness: Harness) -> None:
    """Two recoveries of what was missed deliver each event once."""
    began = harness.clock()
    failed_job(harness)
    harness.clock.advance(1)
    subscription = subscribed(harness)

    def recover(tx: Connection) -> int:
        wanted = Recovery(began, missing=True)
        return recover_subscription(tx, subscription, wanted, harness.clock()).count

    with ThreadPoolExecutor(1) as pool, harness.db.write() as tx:
        first = recover(tx)
        recovering = begun(pool, harness.db, recover)

    assert (1, 0) == (first, recovering.result())


def test_resent_as_an_attempt_begins(harness: Harness) -> None:
    """Who resends a delivery that a worker has just taken is refused: an attempt is under way."""
    subscribed(harness)
    failed_job(harness)
    seen, now = the_delivery(harness), harness.clock()
    with harness.db.write() as tx:
        assert store.claims.claim_pending(tx, now, LEASE_SECONDS)
    with harness.db.write() as tx, pytest.raises(Conflict):
        resend_delivery(tx, seen, now)


def test_last_resend_of_a_minute(harness: Harness) -> None:
    """Two resends at once do not both get what the limit leaves for one."""
    subscribed(harness)
    for _ in range(RESENDS + 1):
        failed_job(harness)
    now = harness.clock.advance(1)
    with harness.db.write() as tx:
        found = store.deliveries.page(tx, harness.account.id, RESENDS + 1)
        last, further, *others = found
        resent = deliveries.c.id.in_([one.id for one in others])
        tx.execute(update(deliveries).where(resent).values(resent_at=now))

    def resend(tx: Connection) -> None:
        resend_delivery(tx, further, now)

    with ThreadPoolExecutor(1) as pool, harness.db.write() as tx:
        resend_delivery(tx, last, now)
        resending = begun(pool, harness.db, resend)
    with pytest.raises(TooOften):
        resending.result()


def test_unsubscribed_as_a_job_asks_for_it(harness: Harness) -> None:
    """A reader's own unsubscribing stays, whoever names the address at that moment."""
    w, now = harness.wiring, harness.clock()
    spec = SubscriptionSpec("webhook", "http://127.0.0.1:9/own")

    def ask(tx: Connection) -> Subscription:
        return get_or_create_internal(tx, w.encryptor, harness.account.id, spec, now)

    with harness.db.write() as tx:
        made = ask(tx)
        store.subscriptions.change(tx, made.id, enabled=False, disabled_reason="it failed")
    with ThreadPoolExecutor(1) as pool, harness.db.write() as tx:
        unsubscribe(tx, made.id, now)
        begun(pool, harness.db, ask)
    after = now_as(harness, made)

    assert (False, UNSUBSCRIBED) == (after.enabled, after.disabled_reason)


def succeed(harness: Harness, job: Job) -> Callable[[Connection], object]:
    """What settles a poll that has found its video, at a vendor that was away before."""
    outcome = Outcome(
        TaskState.SUCCEEDED,
        raw_state="done",
        task_id=job.task_id,
        result_url="https://v.example/a.mp4",
        credits_left=7.0,
    )
    settings = harness.wiring.settings
    return lambda tx: settle_poll(tx, settings, job, outcome, "poll", harness.clock())


def accept(harness: Harness, job: Job) -> Callable[[Connection], object]:
    """What settles a late answer to its create."""
    answer = CreateAnswer(job.id, job.claims, Submission("another task"))
    return lambda tx: settle(tx, harness.wiring.settings, answer, harness.clock())


def resume(harness: Harness, _: Job) -> Callable[[Connection], object]:
    """What an operator does."""
    return lambda tx: release_provider(tx, "apixo", harness.clock())


@pytest.mark.parametrize("act", [succeed, accept, resume])
def test_provider_after_the_job(
    harness: Harness, act: Callable[[Harness, Job], Callable[[Connection], object]]
) -> None:
    """Who has a job and asks for a token does not wait for one who has the provider's row."""
    later = harness.clock() + timedelta(seconds=60)
    job = submitted(harness, polls=1, due_at=later)
    provider = harness.wiring.providers["apixo"]
    with harness.db.write() as tx:
        tx.execute(update(providers).values(last_error="away", last_error_since=harness.clock()))
    with ThreadPoolExecutor(1) as pool, harness.db.write() as callback:
        store.jobs.lock(callback, job.id)
        settling = begun(pool, harness.db, act(harness, job))
        assert may_ask(callback, provider, harness.clock())
    settling.result()

    with harness.db.read() as tx:
        (row,) = [one for one in store.providers.all_rows(tx) if one.name == "apixo"]
    assert act is resume or row.last_error is None


def test_held_while_the_provider_is_resumed(harness: Harness) -> None:
    """A job that is held at the moment of a resume is released by it."""
    job = harness.new_job()
    with harness.db.write() as tx:
        claimed = store.jobs.claim_queued(tx, ["apixo"], harness.clock(), 15.0)
    assert claimed is not None

    with ThreadPoolExecutor(1) as pool, harness.db.write() as tx:
        settle_refused(tx, claimed, Refusal("INSUFFICIENT_CREDITS", "none"), harness.clock())
        resuming = begun(pool, harness.db, resume(harness, job))

    assert 1 == resuming.result()
    assert JobState.QUEUED is harness.job(job).state


def test_account_after_the_subscription(harness: Harness) -> None:
    """A claim that waits for a subscription has nothing that its settlement needs."""
    harness.clock.advance(1)
    bob, _ = harness.new_account("bob")
    own = subscribed(harness)
    subscribed(harness, bob)
    failed_job(harness)
    failed_job(harness, bob)

    def claim(tx: Connection) -> Delivery | None:
        return store.claims.claim_pending(tx, harness.clock(), LEASE_SECONDS)

    with ThreadPoolExecutor(1) as pool, harness.db.write() as settlement:
        store.subscriptions.lock(settlement, own.id)
        claiming = begun(pool, harness.db, claim)
        # To make the subscription by which its owner hears of trouble.
        store.accounts.lock(settlement, harness.account.id)
    claimed = claiming.result()

    assert own.id == (claimed and claimed.subscription_id)


def test_replayed_while_it_is_settled(harness: Harness) -> None:
    """A replay of a callback takes the job first, as its settlement does."""
    w, job = harness.wiring, submitted(harness)
    w.ingest.insert(job.id, "apixo", {}, b"{}", harness.clock())
    with harness.db.write() as tx:
        callback = store.callbacks.claim_received(tx, harness.clock(), 30.0)
    assert callback is not None

    def replay(tx: Connection) -> None:
        replay_callback(tx, callback, harness.clock())

    with ThreadPoolExecutor(1) as pool, harness.db.write() as settlement:
        store.jobs.lock(settlement, job.id)
        replaying = begun(pool, harness.db, replay)
        assert store.callbacks.settle_claimed(settlement, callback, note="seen")
    replaying.result()


def test_two_start_a_fresh_service(database_url: str, tmp_path: Any) -> None:
    """Two processes that set up one database at once make one account."""
    settings = load_settings({}, data_dir=tmp_path, database_url=database_url, secret_keys="k" * 40)
    db = Database(database_url)
    wiring = build(settings, follow_database=False)
    with ThreadPoolExecutor(1) as pool, db.write() as tx:
        made = create_account(tx, wiring.encryptor, "default", None, wiring.clock())
        other = pool.submit(initialise, settings)
        if not db.is_sqlite:
            eventually(lambda: other.done() or _waits(db))
    again = other.result()
    wiring.close()
    db.close()

    assert (made.id, None) == (again["account"], again["api_key"])


def test_two_accounts_of_one_name(harness: Harness) -> None:
    """Of two accounts that get the same name at once, one is refused."""
    w = harness.wiring

    def make(tx: Connection) -> Account:
        return create_account(tx, w.encryptor, "carol", None, harness.clock())

    with ThreadPoolExecutor(1) as pool, harness.db.write() as tx:
        make(tx)
        making = begun(pool, harness.db, make)
    with pytest.raises(Conflict):
        making.result()


def test_quarantine_ends_once(harness: Harness) -> None:
    """A row that one worker released, and another claimed, keeps its lease."""
    job, now = harness.new_job(), harness.clock()
    with harness.db.write() as tx:
        store.quarantine.put(tx, "jobs", job.id, job.claims, "broken", now)
    later = harness.clock.advance(QUARANTINE.total_seconds() + 1)

    def release(tx: Connection) -> int:
        return store.quarantine.release(tx, later - QUARANTINE, later)

    with ThreadPoolExecutor(1) as pool, harness.db.write() as tx:
        first = release(tx)
        assert store.jobs.claim_queued(tx, ["apixo"], later, 15.0)
        releasing = begun(pool, harness.db, release)

    assert (1, 0) == (first, releasing.result())
    assert later + timedelta(seconds=15) == harness.job(job).due_at


def test_clock_of_a_host_goes_back_once(harness: Harness) -> None:
    """Two workers that find their host's clock turned back move the rows once."""
    now, hour = harness.clock(), timedelta(hours=1)
    subscribed(harness)
    job = failed_job(harness)
    with harness.db.write() as tx:
        store.work.beat(tx, "host-1", now + hour)
        store.jobs.change(tx, job.id, [JobState.QUEUED], due_at=now + 3 * hour)
        tx.execute(update(deliveries).values(due_at=now + 3 * hour))

    def follow(tx: Connection) -> int:
        return store.clock_skew.follow_back(tx, "host-", now, CLOCK_SLACK)[1]

    with ThreadPoolExecutor(1) as pool, harness.db.write() as tx:
        first = follow(tx)
        following = begun(pool, harness.db, follow)

    assert (2, 0) == (first, following.result())
    assert now + 2 * hour == harness.job(job).due_at == the_delivery(harness).due_at


def test_first_job_of_two_processes(harness: Harness) -> None:
    """Two processes of one folder that send their first job at once count two."""

    def advance(tx: Connection) -> int:
        return store.high_water.advance(tx, "dir_1").sent

    with ThreadPoolExecutor(1) as pool, harness.db.write() as tx:
        first = advance(tx)
        advancing = begun(pool, harness.db, advance)

    assert (1, 2) == (first, advancing.result())


def test_canceled_as_it_is_sent(harness: Harness) -> None:
    """Who cancels a job that a worker has just taken hears what it is now."""
    seen = harness.new_job()
    send_next(harness)
    with harness.db.write() as tx, pytest.raises(Conflict, match="the job is submitted"):
        cancel_job(tx, seen, harness.clock())


@pytest.mark.parametrize("settings_given", [{"retention_days": 30}], ids=["a month"])
def test_resent_as_it_is_purged(harness: Harness) -> None:
    """An old delivery that is sent again at the moment of a purge is not lost."""
    subscribed(harness)
    job, w = failed_job(harness), harness.wiring
    number_events(harness.db)
    with harness.db.write() as tx:
        ended = {"state": JobState.FAILED, "finished_at": harness.clock()}
        store.jobs.change(tx, job.id, [JobState.QUEUED], **ended)
        store.deliveries.end_pending(tx, harness.clock(), job_id=job.id)
    now, delivery = harness.clock.advance(31 * 86_400), the_delivery(harness)
    with ThreadPoolExecutor(1) as pool, harness.db.write() as tx:
        resend_delivery(tx, delivery, now)
        purging = pool.submit(purge_rows, harness.db, w.settings, now)
        if not harness.db.is_sqlite:
            eventually(lambda: purging.done() or _waits(harness.db))
    purging.result()

    assert DeliveryState.PENDING is the_delivery(harness).state
    with harness.db.read() as tx:
        assert [job.id] == [event.job_id for event in store.events.of_job(tx, job.id)]


@ROWS_ARE_LOCKED
def test_too_many_callbacks_as_one_is_settled(harness: Harness) -> None:
    """Who repeats one callback of a job and sends more than is kept stops no settlement of it."""
    w, job, other = harness.wiring, submitted(harness), harness.new_job()
    with harness.db.write() as tx:
        later = harness.clock() + timedelta(hours=1)
        store.jobs.change(tx, job.id, [JobState.SUBMITTED], due_at=later)

    def send(whose: Job, body: bytes) -> None:
        w.ingest.insert(whose.id, "apixo", {}, body, harness.clock())

    send(job, b"{}")
    with harness.db.write() as tx:
        callback = store.callbacks.claim_received(tx, harness.clock(), 30.0)
    assert callback is not None
    for number in range(4):
        send(job, bytes([number]) * (KEPT_BYTES_PER_JOB // 4 - 100))
    with ThreadPoolExecutor(3) as pool, harness.db.write() as settlement:
        store.jobs.lock(settlement, job.id)
        with harness.db.write() as tx:
            # The first of three waits, so that the others are one commit.
            tx.execute(select(jobs.c.id).filter_by(id=other.id).with_for_update())
            sent = [pool.submit(send, other, b"{}")]
            eventually(lambda: _waits(harness.db))
            sent += [pool.submit(send, job, body) for body in (b"{}", bytes(1000))]
            eventually(lambda: all(future.running() for future in sent))
        eventually(lambda: sent[0].done() and _waits(harness.db))
        assert store.callbacks.settle_claimed(settlement, callback, note="seen")
    for future in sent:
        future.result()
