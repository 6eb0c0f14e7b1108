"""kill -9 at every step of the walk: before and after each commit, call and file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.servers import eventually, http_call

from chaos.evidence import Evidence, gather
from chaos.fault_injection import FaultInjector
from chaos.figures import faults
from chaos.run import ChaosRun, Plan, chaos_run_on
from chaos.steps import LATER_SECONDS, Lead, answer_steps, callback_steps, lead

pytestmark = pytest.mark.postgresql

Tell = Callable[[str, list[str]], None]
Kind = tuple[str, tuple[str, ...]]
#: Model and fault orders of the three kinds of jobs.
CALLED_BACK: Kind = ("kling-2-5-turbo-pro", ())
LOST: Kind = ("kling-2-5-turbo-pro", ("lose",))
POLLED: Kind = ("kling-2", ())
#: The last worker finds every lease of the walker's over.
AFTER_SECONDS = LATER_SECONDS + 600.0


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Iterator[ChaosRun]:
    """Provider, hook and the service on either database; its web process has an injector."""
    plan = Plan(jobs=0, kills=0, refusing=0.0, still_seconds=2.0)
    with chaos_run_on(database_url, plan, tmp_path) as made:
        injected = ("chaos.injected", str(tmp_path / "web.injector"))
        FaultInjector(tmp_path / "web.injector")
        made.clipbell.spawn("serve", *injected, *made.clipbell.serving)
        eventually(lambda: _answers(made))
        yield made


def _answers(run: ChaosRun) -> bool:
    try:
        return http_call("GET", f"{run.clipbell.url}/healthz").status == 200
    except OSError:
        return False


@pytest.fixture
def tell(record_property: Callable[[str, object], None], database_url: str) -> Tell:
    """Has the steps of a kind of work printed at the end."""
    database = database_url.partition(":")[0]

    def write(what: str, steps: list[str]) -> None:
        numbered = ", ".join(f"{at} {name}" for at, name in enumerate(steps, 1))
        record_property("figures", f"{database} {what}, killed at each of: {numbered}")

    return write


def _finished(run: ChaosRun) -> Evidence:
    """What is left when a worker has lived on after all the deaths; every promise was held."""
    secrets = run.subscribe()
    secrets["/own"] = run.clipbell.webhook_secret
    run.ahead = AFTER_SECONDS
    run.start_process("worker")
    run.calm()
    found = gather(run)
    assert [] == faults(run, found, secrets)
    return found


def test_every_step_of_a_submit(run: ChaosRun, tmp_path: Path, tell: Tell) -> None:
    """Dead at any step of a submit, the worker leaves one job, one create and one end."""
    with lead(run, tmp_path) as led:
        tell("submit", led.killed_everywhere("submit"))
        _assert_whole(run)
    found = _finished(run)

    assert {("succeeded", 1), ("unknown", 0)} == _ends(run, found, CALLED_BACK)
    assert _adopted(run, found)


@pytest.mark.long
# Some ninety deaths.
@pytest.mark.timeout(600)
def test_every_step(run: ChaosRun, tmp_path: Path, tell: Tell) -> None:
    """
    Web or worker, dead at any step of any kind of work: one job, one create, one end, all reported.

    What was sent and not answered is adopted by its callback, else it stays
    `unknown` with its reason.
    """
    with lead(run, tmp_path) as led:
        _kill_web(FaultInjector(tmp_path / "web.injector"), led, tell)
        for kind in ("submit", "process", "archive", "deliver"):
            tell(kind, led.killed_everywhere(kind))
            _assert_whole(run)
        led.fault_orders = ("lose",)
        tell("submit with a lost callback", led.killed_everywhere("submit"))
        led.model, led.fault_orders = "kling-2", ()
        for kind in ("submit", "poll"):
            tell(f"{kind} (without callbacks)", led.killed_everywhere(kind))
    found = _finished(run)

    assert {("succeeded", 1), ("unknown", 0)} == _ends(run, found, CALLED_BACK)
    assert {("succeeded", 1), ("unknown", 0), ("unknown", 1)} == _ends(run, found, LOST)
    assert {("succeeded", 1), ("unknown", 0), ("unknown", 1)} == _ends(run, found, POLLED)
    assert _adopted(run, found)


def _kill_web(web: FaultInjector, led: Lead, tell: Tell) -> None:
    """The client asks again with its key, the provider calls again."""
    for what, steps_of in (("POST /v1/jobs", answer_steps), ("callback", callback_steps)):
        # Until a request comes to its end.
        for at in itertools.count(1):
            steps = steps_of(web, led, at)
            if len(steps) < at:
                break
        tell(what, steps)


def _assert_whole(run: ChaosRun) -> None:
    """Whatever the links give now is the provider's own link, or the whole video."""
    for job in gather(run).shown.values():
        video = job["video"]
        answer = run.clipbell.call("GET", video["url"]) if video else None
        assert answer is None or answer.status in (200, 302)
        assert answer is None or answer.status == 302 or len(answer.body) == video["bytes"]


def _ends(run: ChaosRun, found: Evidence, kind: Kind) -> set[tuple[str, int]]:
    """How jobs of a kind ended: in which states, with how many creates at the provider."""
    requested = [
        wanted for wanted in run.requested.values() if (wanted.model, wanted.fault_orders) == kind
    ]
    ids = [run.jobs[wanted.number] for wanted in requested]
    return {(found.jobs[i].state.value, len(found.tasks[i])) for i in ids}


def _adopted(run: ChaosRun, found: Evidence) -> list[str]:
    """The jobs that were unknown until their callback came."""
    unsure = [i for i, steps in found.steps.items() if "unknown" in {step.kind for step in steps}]
    return [i for i in unsure if found.jobs[i].state == "succeeded"]
