"""
The life of jobs as a machine: whatever happens in whatever order, what must hold holds.

Hypothesis draws the order. The machine keeps a card of its own for each job,
with what it may have become, and compares after each step. Many more and longer
runs: ``pytest tests/system/test_machine.py --hypothesis-profile=long``.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, select
from support.databases import Template
from support.harness import TestClock
from support.vendor import Call, Died, Vendor

from service import store
from service.accounts import create_account
from service.bootstrap import Wiring, build
from service.callbacks.process import receive_callback
from service.deliveries.subscription_spec import SubscriptionSpec
from service.deliveries.subscriptions import subscribe
from service.errors import BadToken, Conflict, ExpiredToken, Refused, Unanswered
from service.jobs import budget
from service.jobs.outcomes import Resolution, resolve_by_hand
from service.jobs.provider_status import release_provider
from service.jobs.requests import cancel_job, check_request, mute_job, request_job
from service.model import (
    OPEN,
    TERMINAL,
    TERMINAL_EVENTS,
    Event,
    EventType,
    Job,
    JobState,
    Outcome,
    Submission,
    TaskState,
)
from service.model.error_codes import job_error
from service.settings import load_settings
from service.store.schema import callbacks, deliveries

NAME = "apixo"
MODEL = "kling-2-5-turbo-pro"
HOST = "cdn.example"
VIDEO = f"https://{HOST}/video.mp4"
PRICE, BUDGET = 0.5, 2.0
SUBMIT_SECONDS = 20.0
URL_DAYS = timedelta(days=30)
MOST_JOBS = 6
LONG = settings.get_current_profile_name() == "long"

QUEUED, SUBMITTING, SUBMITTED = JobState.QUEUED, JobState.SUBMITTING, JobState.SUBMITTED
HELD, UNKNOWN, CANCELED = JobState.HELD, JobState.UNKNOWN, JobState.CANCELED
SUCCEEDED, FAILED = JobState.SUCCEEDED, JobState.FAILED
ENDING = {
    SUCCEEDED: EventType.JOB_SUCCEEDED,
    FAILED: EventType.JOB_FAILED,
    CANCELED: EventType.JOB_CANCELED,
}
REFUSALS = {
    "refused for now": "RATE_LIMITED",
    "refused for credits": "INSUFFICIENT_CREDITS",
    "refused for good": "BAD_REQUEST",
}
CREATED = ("accepted", "accepted and done", "accepted and failed", "accepted as another's")
UNSURE = ("no answer", "a fault of ours", "crash")
#: Seconds until a worker comes: past a poll, a lease, a deadline.
SECONDS = (0, 6, 31, 91, 400)
#: The answer takes its time; other things happen before.
LATER = "later"
BY_HAND = (
    *("cancel", "mute", "resolve: task", "resolve: fail"),
    *["resolve: resend"] * 2,
)
MADE = (*CREATED, "accepted", *REFUSALS, *UNSURE, LATER, LATER, LATER)
FOUND = ("success", "failure", "running", "no task", "empty", "away", "crash", LATER, LATER)
T = TypeVar("T")
DELIVERED = select(deliveries.c.job_id)
KEPT = select(callbacks.c.job_id, callbacks.c.body, callbacks.c.repeats)
SAID = ("success", "failed", "foreign", "foreign", "processing", "dreaming", "empty", "unreadable")


class Draw(Protocol):
    """Hypothesis takes one of them."""

    def __call__(self, choices: Sequence[T], /) -> T: ...


@dataclass(eq=False)
class Create:
    """One create request: whether a task may exist, and which."""

    call: Call
    at: datetime
    spends_resend: bool
    possible: bool = True
    task: str | None = None


@dataclass(eq=False)
class Card:
    """What the test itself knows of a job."""

    id: str
    name: str
    source: bool
    state: JobState = QUEUED
    task: str | None = None
    creates: list[Create] = field(default_factory=list)
    resends: int = 0
    may_resend: bool = False
    held_for_credits: bool = False
    failed_polls: int = 0
    cost: float | None = None
    given_up: bool = False
    seen: Counter[JobState] = field(default_factory=Counter)
    posts: Counter[bytes] = field(default_factory=Counter)
    events_before_mute: int | None = None
    end: Job | None = None

    def __repr__(self) -> str:
        return self.name

    @property
    def at_risk(self) -> bool:
        """Whether the vendor may have a task for it."""
        return any(create.possible for create in self.creates)

    @property
    def sent_at(self) -> datetime | None:
        """When its last create request went out."""
        return self.creates[-1].at if self.creates else None

    def is_current(self, call: Call) -> bool:
        """Whether this create is the one that the job now waits for."""
        return self.state is SUBMITTING and self.creates[-1].call is call


class Machine(RuleBasedStateMachine):
    """Clipbell's workers, its vendor, its users and its clock."""

    def __init__(self, database_url: str, folder: Path) -> None:
        super().__init__()
        self.url, self.folder, self.clock = database_url, folder, TestClock()
        self.cards: dict[str, Card] = {}
        self.calls: list[Call] = []
        self.held = False
        self.ends = self.sound = False
        self.tasks = 0
        self.allowed: dict[str, set[JobState]] = {}

    @initialize(confirms=st.booleans(), ends=st.booleans())
    def begin(self, confirms: bool, ends: bool) -> None:
        """An account with one subscription for everything."""
        self.confirms, self.ends = confirms, ends
        self.wiring = self.open()
        self.vendor = Vendor(self.wiring.outbound, SUBMIT_SECONDS)
        with self.wiring.db.write() as tx:
            store.providers.ensure(tx, NAME, self.clock())
            encryptor, now = self.wiring.encryptor, self.clock()
            self.account = create_account(tx, encryptor, "alice", None, now).id
            spec = SubscriptionSpec("webhook", "http://127.0.0.1:9/", tuple(EventType))
            subscribe(tx, encryptor, self.account, spec, now)
        self.new_job(source=False)

    def open(self) -> Wiring:
        """What a process makes at its start."""
        given: dict[str, Any] = {
            "data_dir": self.folder,
            "database_url": self.url,
            "secret_keys": "k" * 40,
            "public_url": "http://127.0.0.1:9",
            "apixo_api_key": "test",
            "allowed_networks": "127.0.0.0/8",
            "budget": BUDGET,
            "prices": {MODEL: PRICE},
        }
        if not self.confirms:
            given |= {"confirm_callbacks": False, "result_hosts": HOST}
        return build(load_settings({}, **given), self.clock)

    def teardown(self) -> None:
        """Where all went well and it is wanted, to the end of every job; then all workers die."""
        try:
            if self.ends and self.sound:
                self.come_to_the_end()
        finally:
            self.close()

    def close(self) -> None:
        """All workers die."""
        self.die()
        self.wiring.close()

    def die(self) -> None:
        """All workers end where they are."""
        for call in self.calls:
            self.vendor.reply(call, Died())
        self.calls = []

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """Anything may happen next."""

        self.sound = False

        def draw(choices: Sequence[T]) -> T:
            return data.draw(st.sampled_from(choices))

        what = draw(self.worth_doing())
        if what in ("hold", "resume", "restart", "forge"):
            getattr(self, what)()
        else:
            getattr(self, what)(draw)

    def worth_doing(self) -> list[str]:
        """What may happen next; what would only be idle comes rarely."""
        often = {
            "send": bool(self.in_state(QUEUED)) and not self.held,
            "look_after": bool(self.in_state(*OPEN, HELD)),
            "look_at_callback": any(card.posts for card in self.in_state(*OPEN)),
            "late_answer": bool(self.calls),
            "poll_beside_a_confirm": bool(self.in_state(SUBMITTED)),
            "call_back": bool(self.in_state(*OPEN)),
            "ask_for_a_job": len(self.cards) < MOST_JOBS,
            "a_person": bool(self.in_state(UNKNOWN)),
            "resume": self.held,
        }
        rare = ["wait", "hold", "restart", "forge", "outlast_the_lease"]
        return [act for act, useful in often.items() for _ in range(4 if useful else 1)] + rare

    # What users, the operator and time do.

    def ask_for_a_job(self, draw: Draw) -> None:
        """By our own API, or at a vendor-compatible API."""
        if len(self.cards) < MOST_JOBS:
            self.new_job(source=draw([False, False, True]))

    def new_job(self, source: bool) -> None:
        """A queued job, and its card."""
        w, name = self.wiring, f"job {len(self.cards) + 1}"
        body = {"model": MODEL, "input": {"prompt": name}, "metadata": {"name": name}}
        asked = check_request(body, w.channels, w.market())
        asked = replace(asked, source=NAME) if source else asked
        with w.db.write() as tx:
            job = request_job(tx, w.encryptor, w.settings, self.account, asked, self.clock())
        self.cards[job.id] = Card(job.id, name, source)

    def a_person(self, draw: Draw) -> None:
        """Whatever a person wants of a job, at any time."""
        act = draw(BY_HAND)
        card = self.one_of(draw, prefer=draw((UNKNOWN, UNKNOWN, QUEUED, SUBMITTED)))
        if act == "cancel":
            self.cancel(card)
        elif act == "mute":
            self.mute(card)
        else:
            task = draw(self.known_tasks()) if "task" in act else None
            self.resolve(card, Resolution(task, act == "resolve: resend"))

    def cancel(self, card: Card) -> None:
        """Only what was not sent is taken back."""
        ok = card.state in (QUEUED, HELD)
        self.allowed[card.id] = {CANCELED} if ok else {card.state}
        self.by_hand(card, cancel_job, ok)

    def mute(self, card: Card) -> None:
        """No news of it from now on."""
        if card.events_before_mute is None:
            with self.wiring.db.read() as tx:
                card.events_before_mute = len(self.events(tx)[card.id])
        self.by_hand(card, mute_job, ok=True)

    def resolve(self, card: Card, found: Resolution) -> None:
        """Only an unknown job, and by no task that another has."""
        if found.resend and any(call.job.id == card.id for call in self.calls):
            return  # two creates under way at once are the matter of test_late_answers.py
        ok = card.state is UNKNOWN and not (found.task_id and self.holder(found.task_id))
        if ok:
            state = SUBMITTED if found.task_id else QUEUED if found.resend else FAILED
            self.allowed[card.id] = {state}
            card.resends += found.resend
            card.may_resend |= found.resend
            card.task = found.task_id or card.task
        self.by_hand(card, lambda tx, job, now: resolve_by_hand(tx, job, found, now), ok)

    def by_hand(self, card: Card, act: Any, ok: bool) -> None:
        """A person's act: it is done, or there is a Conflict."""
        with self.wiring.db.write() as tx:
            job = store.jobs.lock(tx, card.id)
            if ok:
                act(tx, job, self.clock())
                return
            with pytest.raises(Conflict):
                act(tx, job, self.clock())

    def hold(self) -> None:
        """The operator stops all sending."""
        with self.wiring.db.write() as tx:
            store.providers.hold(tx, NAME, "held by an operator")
        self.held = True

    def resume(self) -> None:
        """The operator has fixed it: all that was held goes on."""
        with self.wiring.db.write() as tx:
            release_provider(tx, NAME, self.clock())
        self.held = False
        for card in self.in_state(HELD):
            self.allowed[card.id] = {QUEUED}

    def restart(self) -> None:
        """Every process is killed and started again."""
        self.die()
        self.wiring.close()
        self.wiring = self.open()

    def forge(self) -> None:
        """A URL that is not ours changes nothing."""
        for job_id in self.cards:
            url = self.wiring.signer.url_for(self.clock() + URL_DAYS, job=job_id, provider=NAME)
            with pytest.raises(BadToken):
                self.post(url[:-4] + "AAAA", envelope("x", "success"))

    def wait(self, draw: Draw) -> None:
        """Past midnight, the end of a callback's URL."""
        self.clock.advance(draw([1, 4000, 13 * 3600, 31 * 86_400]))

    # What the vendor calls back.

    def call_back(self, draw: Draw) -> None:
        """True, false, early, late or again; kept unless its URL has expired."""
        card = self.one_of(draw, prefer=draw([SUBMITTED, SUBMITTED, SUBMITTING, UNKNOWN, QUEUED]))
        made = [create for create in card.creates if create.possible]
        for create in made:
            create.task = create.task or self.new_task()
        own = [create.task for create in made if create.task]
        body = envelope(draw(own * 3 + self.known_tasks()), draw(SAID))
        expires = (card.sent_at or self.clock()) + URL_DAYS
        never_sent = self.wiring.signer.url_for(expires, job=card.id, provider=NAME)
        url = card.creates[-1].call.url if card.creates else never_sent
        if int(expires.timestamp()) < self.clock().timestamp():
            with pytest.raises(ExpiredToken):
                self.post(url, body)
            return
        self.post(url, body)
        card.posts[body] += 1

    def post(self, url: str, body: bytes) -> None:
        """As the receiver does."""
        w, token = self.wiring, url.rpartition("/")[2]
        receive_callback(w.ingest, w.signer, token, {}, lambda: body, "192.0.2.1", self.clock())

    # What workers do, and what the vendor answers them, sooner or later.

    def send(self, draw: Draw) -> None:
        """Now or soon a worker takes the next job that may go out."""
        self.clock.advance(draw((0, 6)))
        self.unit("submit", draw(MADE))

    def look_after(self, draw: Draw) -> None:
        """Some time later a worker takes a job whose lease, poll or deadline is over."""
        self.clock.advance(draw(SECONDS))
        self.unit(draw(("poll", "reconcile")), draw(FOUND))

    def look_at_callback(self, draw: Draw) -> None:
        """Some time later a worker takes the next callback."""
        self.clock.advance(draw(SECONDS))
        self.unit("process", draw(FOUND))

    def poll_beside_a_confirm(self, draw: Draw) -> None:
        """Two workers ask about one task, and may get different answers."""
        self.call_back(draw)
        self.clock.advance(draw((91, 400)))
        for kind in ("process", "poll"):
            self.unit(kind, LATER)
        for _ in range(2):
            self.late_answer(draw)
            self.compare()

    def outlast_the_lease(self, draw: Draw) -> None:
        """A create's answer comes when others have taken its worker for dead."""
        self.unit("submit", LATER)
        self.clock.advance(91)
        self.unit("reconcile", LATER)
        self.late_answer(draw)

    def unit(self, kind: str, answer: str) -> None:
        """One unit of work, to its end or as far as the call to the vendor."""
        call = self.work(kind)
        self.compare()
        while isinstance(call, Call) and answer != LATER:
            call = self.answer(call, answer)
            self.compare()

    def late_answer(self, draw: Draw) -> None:
        """The vendor answers what has waited for it."""
        names = {f"{place}: {self.cards[c.job.id]}": c for place, c in enumerate(self.calls)}
        if names:
            call = names[draw(list(names))]
            what = draw(MADE if call.url else FOUND)
            self.answer(call, what if what != LATER else "crash")

    def answer(self, call: Call, what: str) -> Call | bool:
        """What its worker asks next, or returned."""
        self.calls.remove(call)
        reply = self.to_create(call, what) if call.url else self.to_question(call, what)
        found = self.vendor.reply(call, reply)
        if isinstance(found, Call):
            self.calls.append(found)
        return found

    def work(self, kind: str) -> Call | bool:
        """One unit; the request at which it waits now, if it does."""
        before = {card: self.may_become(card, kind) for card in self.cards.values()}
        wiring = replace(self.wiring, providers={NAME: self.vendor})
        found = self.vendor.run(wiring.units()[kind])
        if isinstance(found, bool):
            self.allowed |= {card.id: states for card, states in before.items()}
            return found
        self.calls.append(found)
        if found.url:
            self.sent(found)
        else:
            assert SUBMITTED is found.job.state or (kind, UNKNOWN) == ("process", found.job.state)
        return found

    def sent(self, call: Call) -> None:
        """A create request reaches the vendor: may it?"""
        card = self.cards[call.job.id]
        assert QUEUED is card.state, "only a queued job is sent"
        assert not self.held, "nothing goes out to a held provider"
        assert not card.at_risk or card.may_resend, "it may be paid twice"
        assert self.spent() + PRICE <= BUDGET, "the budget does not cover it"
        card.creates.append(Create(call, self.clock(), card.at_risk))
        card.may_resend = False
        refused = sum(not create.possible for create in card.creates)
        assert len(card.creates) <= 1 + card.resends + refused
        self.allowed[card.id] = {SUBMITTING}

    def may_become(self, card: Card, kind: str) -> set[JobState]:
        """What a unit of work may make of a job without asking the vendor."""
        over = self.spent() + PRICE > BUDGET
        stays = {card.state}
        if kind == "submit" and card.state is QUEUED and over and not self.held:
            return stays | {FAILED if card.source else HELD}
        if kind == "reconcile" and card.state is SUBMITTING:
            assert card.sent_at
            is_over = self.clock() > card.sent_at + timedelta(seconds=SUBMIT_SECONDS)
            return stays | {UNKNOWN} if is_over else stays
        if kind == "reconcile" and card.state is HELD and not over and not card.held_for_credits:
            return stays | {QUEUED}
        if kind == "process" and not self.confirms and card.state in (SUBMITTED, UNKNOWN):
            return stays | self.taken_at_its_word(card)
        return stays

    def taken_at_its_word(self, card: Card) -> set[JobState]:
        """What its callbacks claim of its task, or of one that it may adopt."""
        found = set()
        for body in card.posts:
            task, said = read(body)
            if card.state is SUBMITTED and task != card.task:
                continue
            if card.state is UNKNOWN and (task is None or self.holder(task)):
                continue
            found |= {"success": {SUCCEEDED}, "failed": {FAILED}}.get(said, {SUBMITTED})
            if said == "empty":
                found |= {FAILED}
        return found

    def to_create(self, call: Call, what: str) -> Submission | BaseException:
        """Each answer that a create can have, however late."""
        card = self.cards[call.job.id]
        (create,) = [create for create in card.creates if create.call is call]
        if what in REFUSALS and create.task:
            what = "no answer"  # it has called back: it cannot say that there is no task
        if what in CREATED:
            return self.accept(card, create, what)
        if what in REFUSALS:
            self.refuse(card, create, what)
            return Refused(REFUSALS[what], what)
        if what != "crash" and card.is_current(call):
            self.allowed[card.id] = {UNKNOWN}
        return unsure(what)

    def accept(self, card: Card, create: Create, what: str) -> Submission:
        """A late answer counts too, while the job has no other task."""
        others = [c.task for c in self.cards.values() if c.task and c is not card]
        if what == "accepted as another's" and others:
            if card.is_current(create.call):
                self.allowed[card.id] = {UNKNOWN}
            return Submission(others[0])
        create.task = create.task or self.new_task()
        taken = self.holder(create.task) not in (None, card)
        outcome, state = None, SUBMITTED
        if what == "accepted and done":
            outcome, state = Outcome(TaskState.SUCCEEDED, result_url=VIDEO, cost=0.4), SUCCEEDED
        elif what == "accepted and failed":
            outcome, state = Outcome(TaskState.FAILED), FAILED
        if taken and card.is_current(create.call):
            self.allowed[card.id] = {UNKNOWN}
        elif not taken and card.state in (SUBMITTING, UNKNOWN):
            self.allowed[card.id] = {state}
            card.task = create.task
            card.cost = outcome.cost if outcome else None
        return Submission(create.task, outcome)

    def refuse(self, card: Card, create: Create, what: str) -> None:
        """Certainly no task: it may go out again, waits or fails; a late no changes no other's."""
        create.possible = False
        card.may_resend |= create.spends_resend
        current = card.is_current(create.call)
        if what == "refused for now":
            self.allowed[card.id] = {QUEUED} if current else {card.state}
        elif what == "refused for good" or card.source:
            stays = set() if current else {card.state}
            self.allowed[card.id] = stays | ({FAILED} if current or not card.at_risk else set())
        else:
            waits = {HELD, QUEUED} if self.held else {HELD}
            self.allowed[card.id] = waits if current else {card.state}
        if what == "refused for credits":
            self.held = True
            card.held_for_credits = True
            for other in self.in_state(QUEUED):
                if other.source:
                    self.allowed[other.id] = {FAILED}

    def to_question(self, call: Call, what: str) -> Outcome | BaseException:
        """Each answer that a poll or a confirm can have, however late."""
        card, asked = self.cards[call.job.id], call.job
        adopts = asked.state is UNKNOWN and card.state is UNKNOWN
        adopts = adopts and asked.task_id is not None and not self.holder(asked.task_id)
        speaks = what in ("success", "failure", "running", "empty")
        card.failed_polls += what in ("no task", "empty")
        if adopts and speaks:
            card.task = asked.task_id
        if (adopts and speaks) or (asked.state is SUBMITTED and card.state is SUBMITTED):
            ends = {"success": {SUCCEEDED}, "failure": {FAILED}}
            missed = {SUBMITTED, FAILED} if card.failed_polls >= 3 else {SUBMITTED}
            self.allowed[card.id] = ends.get(what, missed)
        return found(what)

    # In the end.

    def come_to_the_end(self) -> None:
        """With a vendor that answers and a person that resolves, every job ends."""
        self.restart()
        self.resume()
        self.compare()
        for _ in range(40):
            for card in self.in_state(UNKNOWN):
                self.allowed[card.id] = {FAILED}
                self.by_hand(card, given_up, ok=True)
            self.compare()
            self.clock.advance(6 * 3600)
            for kind in ("submit", "poll", "reconcile", "process"):
                self.unit(kind, "accepted" if kind == "submit" else "success")
            if len(self.in_state(*TERMINAL)) == len(self.cards):
                return
        raise AssertionError(f"not at its end: {self.cards.values()}")

    # What must hold after each step.

    @invariant()
    def compare(self) -> None:
        """Every job is what it may be, and nothing was lost, doubled or overspent."""
        allowed, self.allowed, self.sound = self.allowed, {}, False
        with self.wiring.db.read() as tx:
            rows = {job.id: job for job in store.job_lists.page(tx, self.account, 100)}
            left = budget.remaining(tx, self.wiring.settings, self.account, self.clock())
            report = self.events(tx)
            sent = Counter(tx.scalars(DELIVERED))
            kept = list(tx.execute(KEPT))
        assert self.cards.keys() == rows.keys()
        for card in self.cards.values():
            self.follow(card, rows[card.id], allowed.get(card.id, {card.state}))
            self.check_events(card, report[card.id], sent[card.id])
        tasks = [card.task for card in self.cards.values() if card.task]
        assert len(set(tasks)) == len(tasks), "no two jobs have one task"
        assert self.spent() <= BUDGET
        assert round(BUDGET - self.spent(), 6) == left
        assert len(self.in_state(*OPEN)) <= (self.vendor.limits.tasks or 0)
        posted = {(c.id, body): n - 1 for c in self.cards.values() for body, n in c.posts.items()}
        self.sound = True
        assert posted == {(job_id, bytes(body)): repeats for job_id, body, repeats in kept}

    def follow(self, card: Card, row: Job, allowed: set[JobState]) -> None:
        """The job has become one of these; the card says so from now on."""
        assert row.state in allowed, f"{card}: {card.state} became {row.state}"
        if row.state is not card.state:
            card.seen[row.state] += 1
        before, card.state = card.state, row.state
        if card.task is None and (before, row.state) != (SUBMITTED, SUBMITTED):
            card.task = row.task_id if not self.confirms else None
        assert row.task_id == card.task
        assert not (card.source and row.state is HELD), "such a job is never held"
        if row.state is QUEUED:
            assert not card.at_risk or card.may_resend, "it may be paid twice"
        if row.state is HELD:
            card.held_for_credits = (row.error or {})["code"] == "INSUFFICIENT_CREDITS"
            assert not (card.held_for_credits and row.due_at), "only a person lets it go on"
        if row.state in (QUEUED, SUBMITTING, SUBMITTED):
            assert row.due_at is not None, "nobody would look at it again"
        if row.state in TERMINAL:
            card.end = card.end or row
            late: dict[str, Any] = {"muted": card.end.muted}
            assert card.end == replace(row, **late), "an end stays as it is"
            card.cost = row.actual_cost
            card.given_up = (row.error or {}).get("code") == "OPERATOR"

    def check_events(self, card: Card, report: list[Event], sent: int) -> None:
        """Events are numbered without gaps, ends are reported once, and each to its subscriber."""
        types = Counter(event.type for event in report)
        assert list(range(1, len(report) + 1)) == sorted(event.sequence for event in report)
        ends = [event.type for event in report if event.type in TERMINAL_EVENTS]
        assert ([ENDING[card.state]] if card.state in TERMINAL else []) == ends
        assert card.seen[UNKNOWN] >= types[EventType.JOB_UNKNOWN]
        assert card.seen[HELD] >= types[EventType.JOB_HELD]
        assert 1 + card.resends >= types[EventType.JOB_OVERDUE]
        assert (len(report) if card.events_before_mute is None else card.events_before_mute) == sent

    def events(self, tx: Connection) -> dict[str, list[Event]]:
        """What was recorded, by job."""
        found: dict[str, list[Event]] = {job_id: [] for job_id in self.cards}
        for event in store.events.newest(tx, self.account, list(EventType), 1000):
            found[event.job_id or ""].append(event)
        return found

    # Short ways.

    def one_of(self, draw: Draw, prefer: JobState = SUBMITTED) -> Card:
        """Any job, rather one that is so."""
        names = {card.name: card for card in self.in_state(prefer) or self.cards.values()}
        return names[draw(list(names))]

    def in_state(self, *states: JobState) -> list[Card]:
        """The jobs that are so."""
        return [card for card in self.cards.values() if card.state in states]

    def holder(self, task: str) -> Card | None:
        """Whose task it is."""
        return next((card for card in self.cards.values() if card.task == task), None)

    def known_tasks(self) -> list[str]:
        """Tasks that somebody could name: those that jobs have, and one of nobody."""
        return [card.task for card in self.cards.values() if card.task] + [self.new_task()]

    def new_task(self) -> str:
        """A task that no job has."""
        self.tasks += 1
        return f"task-{self.tasks}"

    def spent(self) -> float:
        """Dollars that today's jobs cost or may cost, by our own count."""
        today = self.clock().date()
        costs = [
            card.cost if card.cost is not None else PRICE
            for card in self.cards.values()
            # What was given up may have been made all the same.
            if card.state in (*OPEN, SUCCEEDED) or card.given_up
            if card.sent_at and card.sent_at.date() == today
        ]
        return round(sum(costs), 6)


def given_up(tx: Connection, job: Job, now: datetime) -> None:
    """What a person does who finds nothing."""
    resolve_by_hand(tx, job, Resolution(), now)


def unsure(what: str) -> BaseException:
    """What leaves open whether there is a task."""
    if what == "crash":
        return Died()
    return Unanswered("SUBMIT_TIMEOUT_UNKNOWN", what) if what == "no answer" else ValueError(what)


def found(what: str) -> Outcome | BaseException:
    """What a poll or a confirm finds."""
    failed = job_error("CONTENT_VIOLATION", "no")
    answers: dict[str, Outcome | BaseException] = {
        "success": Outcome(TaskState.SUCCEEDED, result_url=VIDEO),
        "failure": Outcome(TaskState.FAILED, error=failed),
        "running": Outcome(TaskState.RUNNING),
        "no task": Refused("NOT_FOUND_TASK", "no"),
        "empty": Outcome(TaskState.SUCCEEDED),
        "away": Unanswered("PROVIDER_UNAVAILABLE", "away"),
        "crash": Died(),
    }
    return answers[what]


def envelope(task: str, said: str) -> bytes:
    """A callback's body in APIXO's words."""
    if said == "unreadable":
        return b"{"
    state = {"empty": "success", "foreign": "success"}.get(said, said)
    url = {"success": VIDEO, "foreign": "https://evil.example/video.mp4"}.get(said)
    data = {"taskId": task, "state": state, "resultJson": {"resultUrls": [url] if url else []}}
    return json.dumps({"code": 200, "data": data, "said": said}).encode()


def read(body: bytes) -> tuple[str | None, str]:
    """The task that a body of `envelope` names, and what it says."""
    if body == b"{":
        return None, "unreadable"
    whole = json.loads(body)
    return whole["data"]["taskId"], whole["said"]


def run(examples: int, steps: int, database: Callable[[], str], folder: Path) -> None:
    """So many histories of so many steps, each over an empty database."""
    bounds = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=not LONG,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Machine(database(), folder), settings=bounds)  # type: ignore[arg-type]


@pytest.mark.postgresql
def test_life(database: str, database_template: Template, tmp_path: Path) -> None:
    """Whatever happens in whatever order, no job is paid twice, lost, or ended twice."""

    def empty() -> str:
        if database == "postgresql":
            return database_template.postgres()
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        return database_template.sqlite(folder)

    run(*(1000, 100) if LONG else (6, 40), empty, tmp_path)
