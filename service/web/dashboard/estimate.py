"""The price and time of a job while its form is being filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.catalogue.models import Model
from service.errors import FieldErrors
from service.jobs import budget
from service.jobs.choice import choose
from service.jobs.requests import JobRequest, planned_job
from service.model import JobError
from service.web.context import caller, wiring
from service.web.dashboard.fields import body_of, name_of


@dataclass(frozen=True)
class Quote:
    """Lowest and highest price in dollars, seconds, the rest of the budget, an objection."""

    low: float | None
    high: float | None
    seconds: float
    left: float | None
    objection: JobError | None


def quote(model: Model, given: Mapping[str, str]) -> Quote:
    """The quote for the chosen values and vendor; a missing value counts as its default."""
    w, account = wiring(), caller().account_id
    body = body_of({**given, "model": model.slug})
    # The price does not wait for the prompt.
    input_ = {"prompt": "?"} | body["input"]
    chosen = choose(w.market(), model.slug, body.get("provider"), input_, FieldErrors())
    if chosen:
        model, values = chosen.offer, chosen.input
    else:
        # Only parameters with fixed choices affect price and time.
        texts = {p.name: given.get(name_of(model, p)) for p in model.parameters}
        values = {
            p.name: next((c for c in p.choices if str(c) == texts[p.name]), p.default)
            for p in model.parameters
        }
    asked = JobRequest(model, values, "auto", None, {})
    job = planned_job(w.settings, account, asked, w.clock())
    with w.db.read() as tx:
        left = budget.remaining(tx, w.settings, account, w.clock())
        objection = budget.objection(tx, w.settings, job, w.clock())
    seconds = model.expected(values)
    return Quote(job.estimated_min, job.estimated_max, seconds, left, objection)
