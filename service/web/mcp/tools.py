"""The tools that an agent can call, with their arguments, scopes and results."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response

from service import store
from service.catalogue.models import MODELS
from service.errors import FieldError, FieldErrors, InvalidInput, got
from service.formatting import format_money
from service.jobs.model_json import models_json
from service.jobs.requests import (
    FIELDS,
    cancel_job,
    check_request,
    planned_job,
    request_job,
    with_saved_images,
)
from service.jobs.submission import preview
from service.model import Job, JobState
from service.web import idempotency
from service.web.api.jobs import current_job, shown
from service.web.context import caller, channels, get_or_404, wiring

Schema = dict[str, Any]
LONGEST_LIST = 50


@dataclass(frozen=True)
class Tool:
    """A tool; `run` gets the checked arguments and returns JSON."""

    name: str
    note: str
    scope: str
    properties: dict[str, Schema]
    run: Callable[[dict[str, Any]], Any]
    required: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """The tool as ``tools/list`` shows it."""
        schema: Schema = {"type": "object", "properties": self.properties}
        schema |= {"required": list(self.required), "additionalProperties": False}
        hints = {"readOnlyHint": self.scope == "read", "openWorldHint": False}
        return {
            "name": self.name,
            "description": self.note,
            "inputSchema": schema,
            "annotations": hints,
        }

    def check(self, given: Any) -> dict[str, Any]:
        """The checked arguments. Raises InvalidInput for missing, unknown or invalid ones."""
        if not isinstance(given, dict):
            raise InvalidInput.at("", "wrong_type", "the arguments must be an object")
        errors = FieldErrors()
        for name in given:
            if name not in self.properties:
                message = f"takes only {', '.join(self.properties) or 'no arguments'}"
                errors.add(f"/{name}", "unknown_field", message)
        for name in self.required:
            if name not in given:
                errors.add(f"/{name}", "required", "this argument is required")
        if not isinstance(given.get("job_id", ""), str):
            errors.add("/job_id", "wrong_type", "must be a job's id, a text")
        errors.raise_any()
        return given


class PriceOverLimit(InvalidInput):
    """A video may cost more than `max_price`; `price` is in dollars, None if it is not stated."""

    def __init__(self, price: float | None, most: float) -> None:
        cost = "its price is not stated" if price is None else f"it costs {format_money(price)}"
        advice = "nothing was made; ask your user, then call again with a higher one"
        super().__init__([FieldError("/max_price", "out_of_range", f"{cost}: {advice}")])
        self.price = price
        limit = format_money(most)
        self.question = f"Make this video? {cost[0].upper()}{cost[1:]}; your limit is {limit}."


def create_video(given: dict[str, Any], once: str | None = None) -> Any:
    """
    A new job.

    Args:
        once: an idempotency key; the same key gives the same job.

    Raises:
        InvalidInput: all faults of the request.
        PriceOverLimit: it may cost more than its `max_price`.
    """
    w = wiring()
    body = {name: value for name, value in given.items() if name in FIELDS}
    asked = check_request(body, channels(), w.market())
    most = given.get("max_price")
    if most is not None:
        if isinstance(most, bool) or not isinstance(most, int | float):
            message = "must be a number of dollars" + got(most)
            raise InvalidInput.at("/max_price", "wrong_type", message)
        price = planned_job(w.settings, caller().account_id, asked, w.clock()).estimated_max
        if price is None or price > most:
            raise PriceOverLimit(price, most)
    said = json.dumps(body, sort_keys=True).encode()
    with w.db.write() as tx:
        kept = idempotency.replay(tx, once, said)
        if kept is None:
            asked = with_saved_images(w.uploads, asked, w.clock())
            job = request_job(tx, w.encryptor, w.settings, caller().account_id, asked, w.clock())
            idempotency.save(tx, once, Response(job.id))
            return shown(job, None)
    return current_job(kept.get_data(as_text=True))


def _estimate(given: dict[str, Any]) -> Any:
    w = wiring()
    asked = check_request(given, channels(), w.market())
    job = planned_job(w.settings, caller().account_id, asked, w.clock())
    plan = preview(w.providers, w.settings, w.signer, job, asked.choice)
    found = {"model": job.model, "provider": job.provider, "input": job.input}
    return found | {"cost": plan["cost"], "expected_seconds": plan["expected_seconds"]}


def _list_jobs(given: dict[str, Any]) -> Any:
    limit, state = given.get("limit", 10), given.get("state")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LONGEST_LIST:
        message = f"must be from 1 to {LONGEST_LIST}{got(limit)}"
        raise InvalidInput.at("/limit", "out_of_range", message)
    if state is not None and state not in list(JobState):
        message = f"must be one of {', '.join(JobState)}{got(state)}"
        raise InvalidInput.at("/state", "not_allowed", message)
    with wiring().db.read() as tx:
        jobs = store.job_lists.page(tx, caller().account_id, limit, state=state)
        videos = store.videos.of_jobs(tx, [job.id for job in jobs])
    return {"jobs": [shown(job, videos.get(job.id)) for job in jobs]}


def _cancel_job(given: dict[str, Any]) -> Any:
    w = wiring()
    with w.db.write() as tx:
        cancel_job(tx, get_or_404(tx, Job, given["job_id"]), w.clock())
    return current_job(given["job_id"])


_JOB_ID: dict[str, Schema] = {"job_id": {"type": "string", "description": "The job's id."}}
_WISH: dict[str, Schema] = {
    "model": {"type": "string", "enum": list(MODELS), "description": "See list_models."},
    "input": {
        "type": "object",
        "description": "The model's own parameters by their names, such as prompt and duration.",
    },
    "provider": {"type": "string", "description": "A vendor, or auto for the cheapest."},
}
_MORE: dict[str, Schema] = {
    "notify": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Targets that get the result: slack:URL, email:ADDRESS, webhook:URL, or *.",
    },
    "events": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Only these events are sent.",
    },
    "metadata": {"type": "object", "description": "Returned in the job and its events."},
    "cancel_after": {"type": "number", "description": "Seconds; an unsent job is canceled then."},
    "max_price": {
        "type": "number",
        "description": (
            "Dollars; your user is asked before a video that may cost more is made,"
            " or it is refused where the client cannot ask."
        ),
    },
}
_FILTER: dict[str, Schema] = {
    "state": {"type": "string", "enum": [state.value for state in JobState]},
    "limit": {"type": "integer", "minimum": 1, "maximum": LONGEST_LIST},
}
_CREATE_NOTE = (
    "Make a video. Returns a job at once; the video takes a minute or more: ask again with get_job."
)

_WISHED, _OF_JOB = ("model", "input"), ("job_id",)
_LIST_NOTE = "The models with their parameters and prices."
_ESTIMATE_NOTE = "The price and time of a video; makes nothing."
_CANCEL_NOTE = "Cancel a job that was not sent to its vendor yet."
_GET_NOTE = "A job, with the video's link once it is ready."

TOOLS = {
    tool.name: tool
    for tool in (
        Tool("create_video", _CREATE_NOTE, "submit", _WISH | _MORE, create_video, _WISHED),
        Tool("get_job", _GET_NOTE, "read", _JOB_ID, lambda it: current_job(it["job_id"]), _OF_JOB),
        Tool("list_jobs", "Your jobs, newest first.", "read", _FILTER, _list_jobs),
        Tool(
            *("list_models", _LIST_NOTE, "read", {}),
            lambda _: {"models": models_json(wiring().market())},
        ),
        Tool("estimate", _ESTIMATE_NOTE, "submit", _WISH, _estimate, _WISHED),
        Tool("cancel_job", _CANCEL_NOTE, "submit", _JOB_ID, _cancel_job, _OF_JOB),
    )
}
