"""Which vendor makes a job: named, cheapest, or the next one after a sure refusal."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from support.harness import Harness
from support.sandboxes import SandboxClient

from service import store
from service.catalogue.entries import Model
from service.errors import FieldError, InvalidInput
from service.jobs.choice import Market
from service.jobs.requests import JobRequest, check_request
from service.model import Job, JobState
from service.sandbox.vendors.fault_orders import FaultOrders

pytestmark = pytest.mark.postgresql

TODAY = date(2026, 11, 28)
ALL = ("segmind", "kling", "fal", "kie", "replicate", "piapi", "openrouter")


def asked(
    provider: str | None = None,
    usable: tuple[str, ...] = ALL,
    model: str = "kling-2.5-turbo",
    held: tuple[str, ...] = (),
    has_budget: bool = False,
    **values: Any,
) -> JobRequest:
    """The request for a job of five seconds."""
    given = {"prompt": "A fox", "duration": 5} | values
    body = {"model": model, "input": given} | ({"provider": provider} if provider else {})
    return check_request(body, {}, Market(usable, {}, TODAY, held, has_budget))


def faults(*given: Any, **values: Any) -> list[FieldError]:
    """What is wrong with such a request."""
    with pytest.raises(InvalidInput) as caught:
        asked(*given, **values)
    return caught.value.faults


@pytest.mark.parametrize(
    ("values", "vendor"),
    [
        ({}, "fal"),  # as cheap as Kling, and earlier by name
        ({"resolution": "720p"}, "kling"),
        ({"mode": "pro"}, "segmind"),
        ({"guidance_scale": 0.5}, "replicate"),
        ({"image_url": "https://x.example/a.png"}, "fal"),
        ({"first_frame": "https://x.example/a.png"}, "kling"),
    ],
)
def test_cheapest_that_takes_it(values: dict[str, Any], vendor: str) -> None:
    """`auto` is the cheapest configured vendor that takes exactly this input."""
    found = asked(**values)

    assert (vendor, 5) == (found.model.provider, found.input["duration"])


def test_choice_is_shown() -> None:
    """The compared prices are in words; a named vendor was no choice."""
    both = asked(usable=("segmind", "kling"))
    named = asked("segmind", usable=("segmind", "kling"))

    assert "kling at $0.35 is the cheapest; segmind at $0.44 would take it too" == both.choice
    assert ("", None) == (named.choice, named.requested)


def test_held_vendor_comes_last() -> None:
    """Nothing goes out to it now; only where all are held is the cheapest of them taken."""
    three = ("segmind", "kling", "kie")
    found = asked(usable=three, held=("kling",))

    assert "segmind" == found.model.provider
    assert "kling at $0.35 (held) would take it too" in found.choice
    assert "kling" == asked(usable=three, held=three).model.provider
    assert "kling" == asked("kling", usable=three, held=("kling",)).model.provider


def test_unknown_price_comes_last() -> None:
    """A vendor without a price is not taken for cheap."""
    assert "segmind" == asked(usable=("kie", "replicate", "segmind")).model.provider


@pytest.mark.parametrize(("has_budget", "vendor"), [(False, "piapi"), (True, "kling")])
def test_held_vendor_or_unknown_price(has_budget: bool, vendor: str) -> None:
    """Under a budget a vendor without credits may go on sooner than one without a price."""
    found = asked(model="kling-2.6", held=("kling",), has_budget=has_budget)

    assert vendor == found.model.provider


def test_parameter_of_another_vendor() -> None:
    """One clear error names the parameter, and a vendor that takes it."""
    (fault,) = faults("kling", guidance_scale=0.5)

    assert "/input/guidance_scale" == fault.pointer
    assert 'guidance_scale works with "provider": "replicate"' in fault.message


def test_model_that_a_vendor_does_not_sell() -> None:
    """It is said who does."""
    (fault,) = faults("replicate", model="kling-3.0")

    assert "/provider" == fault.pointer
    assert "Replicate does not sell kling-3.0" in fault.message
    assert "kling, openrouter" in fault.message


def test_missing_key() -> None:
    """A vendor without a key is refused before any money."""
    (fault,) = faults("fal", usable=("segmind",))

    assert ("provider_not_configured", True) == (fault.code, "no key for fal" in fault.message)


def test_last_frame_needs_more() -> None:
    """Kling takes both frames at 1080p only."""
    frames: dict[str, Any] = {
        "first_frame": "https://x.example/a.png",
        "last_frame": "https://x.example/b.png",
    }
    (fault,) = faults("kling", resolution="720p", **frames)

    assert "/input/last_frame" == fault.pointer
    assert asked("kling", **frames).input["last_frame"]


def test_sunset() -> None:
    """A model that ends is warned of before, and named with its successor after."""
    model = Model("old", "Old", "x", (), {}, ends=date(2026, 12, 1), successor="new")

    assert "old ends at x on 2026-12-01; use new" == model.warning(TODAY)
    assert "old ended at x on 2026-12-01; use new" == model.warning(date(2026, 12, 1))


@pytest.fixture
def settings_given(sandbox: SandboxClient, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Kling and Segmind, both the sandbox; and what a test adds."""
    url = sandbox.server.url
    return {
        "kling_base_url": url,
        "kling_api_key": "k",
        "segmind_base_url": url,
        "submit_timeout": 1.5,
    } | getattr(request, "param", {})


def sent(harness: Harness, sandbox: SandboxClient, orders: str, **body: Any) -> Job:
    """A job whose first create meets these orders."""
    sandbox.server.renderer.book.order(FaultOrders.read(orders)[0])
    whole = {"model": "kling-2.5-turbo", "input": {"prompt": harness.account.id, "duration": 5}}
    job = harness.new_job(**whole | body)
    assert "kling" == job.provider
    harness.drain("submit")
    return harness.job(job)


@pytest.mark.parametrize("orders", ["[refuse 429 1102]", "[refuse 429 1303]", "[refuse 404]"])
def test_next_vendor_after_a_sure_refusal(
    harness: Harness, sandbox: SandboxClient, orders: str
) -> None:
    """A job that left the choice to us goes to the next vendor, with its input and price."""
    job = sent(harness, sandbox, orders)
    with harness.db.read() as tx:
        steps = {step.kind: step.message for step in store.steps.of_job(tx, job.id)}

    assert ("segmind", JobState.SUBMITTED) == (job.provider, job.state)
    assert (["kling"], 0.44) == (job.refused_by, job.estimated_max)
    assert "pro" == job.input["mode"]
    assert "segmind at $0.44 is next" in steps["failed over"]
    with harness.db.read() as tx:
        counts = store.counts.failovers(tx)
    assert {"kling": 1} == {name: count for name, count in counts.items() if count}


def test_next_job_avoids_a_vendor_without_credits(harness: Harness, sandbox: SandboxClient) -> None:
    """Who refused for want of credits is held: `auto` takes another from then on."""
    sent(harness, sandbox, "[refuse 429 1102]")
    given = {"prompt": "A fox", "duration": 5}
    after = harness.new_job(model="kling-2.5-turbo", input=given)
    with harness.db.read() as tx:
        steps = {step.kind: step.message for step in store.steps.of_job(tx, after.id)}

    assert "segmind" == after.provider
    assert "kling at $0.35 (held)" in steps["chosen"]


def test_no_other_vendor_that_is_held(harness: Harness, sandbox: SandboxClient) -> None:
    """A job does not go from one vendor that takes nothing to another."""
    with harness.db.write() as tx:
        store.providers.ensure(tx, "segmind", harness.clock())
        store.providers.hold(tx, "segmind", "by hand")
    job = sent(harness, sandbox, "[refuse 429 1102]")

    assert ("kling", JobState.HELD) == (job.provider, job.state)


@pytest.mark.parametrize(
    ("settings_given", "model"),
    [
        ({"job_budget": 0.4}, "kling-2.5-turbo"),
        ({"budget": 5.0, "piapi_api_key": "k"}, "kling-2.6"),
    ],
    indirect=["settings_given"],
)
@pytest.mark.parametrize(
    ("orders", "state"),
    [("[refuse 429 1102]", JobState.HELD), ("[refuse 429 1303]", JobState.QUEUED)],
)
def test_no_other_vendor_that_the_budget_forbids(
    harness: Harness, sandbox: SandboxClient, orders: str, state: JobState, model: str
) -> None:
    """A job stays where it may go out again, not where its price would hold it for good."""
    job = sent(harness, sandbox, orders, model=model)

    assert ("kling", state) == (job.provider, job.state)


def test_named_vendor_keeps_its_job(harness: Harness, sandbox: SandboxClient) -> None:
    """Who names a vendor gets no other."""
    job = sent(harness, sandbox, "[refuse 429 1102]", provider="kling")

    assert ("kling", JobState.HELD) == (job.provider, job.state)


@pytest.mark.parametrize("orders", ["[drop]", "[refuse 502]", "[refuse 400 1301]"])
def test_no_other_vendor_after_silence(
    harness: Harness, sandbox: SandboxClient, orders: str
) -> None:
    """What may have been taken, and what is wrong with the job itself, goes to nobody else."""
    job = sent(harness, sandbox, orders)

    assert "kling" == job.provider
    assert job.state in (JobState.UNKNOWN, JobState.FAILED)
