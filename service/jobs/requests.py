"""The creation, cancellation and muting of jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NotRequired

from pydantic import Field, with_config
from sqlalchemy import Connection
from typing_extensions import TypedDict

from service import store
from service.catalogue.models import MODELS, Model, ModelSlug
from service.channels.base import Channel
from service.deliveries.subscription_fields import NewSubscription
from service.deliveries.subscription_spec import SubscriptionSpec, parse_subscription
from service.deliveries.subscriptions import UNSUBSCRIBED, get_or_create_internal
from service.errors import Conflict, FieldErrors, InvalidInput, did_you_mean, got, json_pointer
from service.events.record import record_event
from service.formatting import mask_target
from service.jobs.budget import price_range
from service.jobs.choice import AUTO, Market, choose
from service.model import ACCOUNTS_OWN, SUBSCRIPTION_EVENTS, EventType, Job, JobState, new_id
from service.model.json_types import about
from service.settings import Settings
from service.signing import Encryptor

if TYPE_CHECKING:
    # This import loads the HTTP client, which few verbs need.
    from service.storage.uploads import UploadStore

METADATA_LENGTH = 4096
NOTIFY_LENGTH = 10
#: The longest `cancel_after`: as long as a callback URL is valid.
LONGEST_WAIT_SECONDS = 30 * 86_400
JOB_EVENTS = [type_ for type_ in EventType if type_ not in SUBSCRIPTION_EVENTS]
#: The `source` of a job that was made by our own API.
API_SOURCE = "clipbell"


_ShortTarget = Annotated[str, Field(json_schema_extra={"format": "channel-target"})]


@with_config(extra="forbid")
class NewJob(TypedDict):
    """A request for one video."""

    model: Annotated[ModelSlug, about("The model; see `/v1/models`.")]
    input: Annotated[dict[str, Any], about("The model's input, under its documented names.")]
    provider: NotRequired[
        Annotated[
            str,
            about(
                "The vendor, or `auto`: the cheapest that takes exactly this input. APIXO's own"
                " routes `value` and `official` are passed on to it.",
                "auto",
            ),
        ]
    ]
    notify: NotRequired[
        Annotated[
            list[
                Annotated[str, Field(json_schema_extra={"format": "channel-target"})]
                | NewSubscription
            ],
            about(
                "The targets of its events: `CHANNEL:TARGET` such as `slack:https://…`, or the"
                " fields of a subscription; `*` means your subscriptions. Missing: these."
                " Empty: nobody.",
                max_length=NOTIFY_LENGTH,
            ),
        ]
    ]
    metadata: NotRequired[
        Annotated[
            dict[str, Any],
            about("Your own data, at most 4 kB; returned in the job and its events.", {"order": 7}),
        ]
    ]
    events: NotRequired[
        Annotated[
            list[Annotated[str, Field(json_schema_extra={"enum": [*map(str, JOB_EVENTS)]})]],
            about(
                "Only these of its events are sent to anybody. A target in `notify` without events"
                " of its own gets them too. Missing: each subscription gets its own events.",
                ["job.succeeded"],
                min_length=1,
            ),
        ]
    ]
    cancel_after: NotRequired[
        Annotated[
            float,
            about(
                "Seconds after which it is canceled if it has not been sent to the vendor yet.",
                gt=0,
                le=LONGEST_WAIT_SECONDS,
            ),
        ]
    ]


#: Names that other APIs use for the callback address, in lower case without separators.
CALLBACK_NAMES = {"callback", "callbackurl", "webhook", "webhookurl", "hookurl", "notifyurl"}
FIELDS = tuple(NewJob.__annotations__)


@dataclass(frozen=True)
class JobRequest:
    """
    A valid request; `notify` None means the account's subscriptions.

    `requested` is the given input, if other vendors may get the job too; `choice`
    is the reason for this vendor.
    """

    model: Model
    input: dict[str, Any]
    route: str
    notify: tuple[SubscriptionSpec | str, ...] | None
    metadata: dict[str, Any]
    source: str = API_SOURCE
    requested: dict[str, Any] | None = None
    choice: str = ""
    source_fields: dict[str, Any] | None = None
    events: tuple[str, ...] | None = None
    cancel_after: float | None = None


def check_request(body: Any, channels: Mapping[str, Channel], market: Market) -> JobRequest:
    """
    Check a JSON body, and choose the vendor.

    Raises:
        InvalidInput: all faults of all fields.
    """
    if not isinstance(body, dict):
        raise InvalidInput.at("", "wrong_type", "the body must be a JSON object")
    errors = FieldErrors()
    for name in body:
        if name not in FIELDS:
            errors.add(json_pointer(name), "unknown_field", _advice(name, body))
    if body.get("input") is None:
        errors.add("/input", "required", "give at least a prompt")
    given = _object("/input", body.get("input"), errors)
    chosen = choose(market, body.get("model"), body.get("provider"), given, errors)
    events = _events(body.get("events"), errors)
    notify = _notify(body.get("notify"), events, channels, errors)
    metadata = _object("/metadata", body.get("metadata"), errors) or {}
    if len(repr(metadata)) > METADATA_LENGTH:
        errors.add("/metadata", "too_long", f"must stay below {METADATA_LENGTH} characters")
    cancel_after = _cancel_after(body.get("cancel_after"), errors)
    if errors.found or chosen is None:
        raise InvalidInput(errors.found)
    anyone = body.get("provider") in (None, AUTO) and len(chosen.compared) > 1
    return JobRequest(
        model=chosen.offer,
        input=chosen.input,
        route=chosen.route,
        notify=notify,
        metadata=metadata,
        requested=given if anyone else None,
        choice=chosen.sentence(),
        events=events,
        cancel_after=cancel_after,
    )


def _advice(name: str, body: dict[str, Any]) -> str:
    """Advice for an unknown field."""
    if re.sub("[^a-z]", "", name.lower()) in CALLBACK_NAMES:
        given = body[name] if isinstance(body[name], str) else "https://…"
        instead = json.dumps([f"webhook:{given[:200]}"], ensure_ascii=False)
        return f'is called notify here: write "notify": {instead} instead'
    if any(name == p.name for model in MODELS.values() for p in model.parameters):
        return f'belongs into input: write "input": {{"{name}": …}}'
    return f"takes only {', '.join(FIELDS)}{did_you_mean(name, FIELDS)}"


def _object(at: str, given: Any, errors: FieldErrors) -> dict[str, Any] | None:
    if given is None or isinstance(given, dict):
        return given
    errors.add(at, "wrong_type", "must be an object" + got(given))
    return None


def _events(given: Any, errors: FieldErrors) -> tuple[str, ...] | None:
    if given is None:
        return None
    if isinstance(given, list) and given and all(word in JOB_EVENTS for word in given):
        return tuple(given)
    message = f"must be a list of one or more of {', '.join(JOB_EVENTS)}"
    errors.add("/events", "not_allowed", message)
    return None


def _cancel_after(given: Any, errors: FieldErrors) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        errors.add("/cancel_after", "wrong_type", "must be a number of seconds" + got(given))
    elif not 0 < given <= LONGEST_WAIT_SECONDS:
        message = f"must be more than 0 and at most {LONGEST_WAIT_SECONDS} seconds{got(given)}"
        errors.add("/cancel_after", "out_of_range", message)
    else:
        return float(given)
    return None


def _notify(
    given: Any,
    events: tuple[str, ...] | None,
    channels: Mapping[str, Channel],
    errors: FieldErrors,
) -> tuple[SubscriptionSpec | str, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > NOTIFY_LENGTH:
        message = f'must be a list of at most {NOTIFY_LENGTH}, such as ["slack:https://…"]'
        message += got(given)
        errors.add("/notify", "wrong_type", message)
        return None
    specs: list[SubscriptionSpec | str] = []
    for place, one in enumerate(given):
        if one == ACCOUNTS_OWN:
            specs.append(ACCOUNTS_OWN)
            continue
        with errors.collect():
            specs.append(parse_subscription(channels, one, f"/notify/{place}", events=events or ()))
    return tuple(specs)


def with_saved_images(uploads: UploadStore, request: JobRequest, now: datetime) -> JobRequest:
    """Store every inline image of a request, and replace it by a URL of ours."""
    saved = uploads.save(request.model, request.input, now)
    urls = {
        value: saved[name]
        for name, value in request.input.items()
        if isinstance(value, str) and saved[name] != value
    }
    requested = request.requested and {
        name: urls.get(value, value) if isinstance(value, str) else value
        for name, value in request.requested.items()
    }
    return replace(request, input=saved, requested=requested)


def request_job(
    tx: Connection,
    encryptor: Encryptor,
    settings: Settings,
    account_id: str,
    request: JobRequest,
    now: datetime,
) -> Job:
    """Create a queued job in the given transaction."""
    job = planned_job(settings, account_id, request, now)
    remarks = [("chosen", request.choice)] if request.choice else []
    if request.notify is not None:
        found: list[str] = []
        for spec in request.notify:
            if isinstance(spec, str):
                found.append(spec)
                continue
            asked = get_or_create_internal(tx, encryptor, account_id, spec, now)
            found.append(asked.id)
            if asked.disabled_reason == UNSUBSCRIBED:
                remarks.append(("not notified", f"{mask_target(spec.target)} has unsubscribed"))
        job = replace(job, notify=list(dict.fromkeys(found)))
    store.jobs.insert(tx, job)
    for kind, remark in remarks:
        store.steps.add(tx, job.id, kind, remark, now)
    return job


def planned_job(settings: Settings, account_id: str, request: JobRequest, now: datetime) -> Job:
    """The job that a request would create; nothing is written."""
    low, high = price_range(settings, request.model, request.input)
    return Job(
        id=new_id("job", now),
        account_id=account_id,
        model=request.model.slug,
        provider=request.model.provider,
        route=request.route,
        source=request.source,
        input=request.input,
        metadata=request.metadata,
        notify=None,
        state=JobState.QUEUED,
        task_id=None,
        error=None,
        resolved_by=None,
        muted=False,
        estimated_min=low,
        estimated_max=high,
        actual_cost=None,
        polls=0,
        failed_polls=0,
        claims=0,
        due_at=now,
        created_at=now,
        sent_at=None,
        submitted_at=None,
        finished_at=None,
        deadline_at=None,
        overdue=False,
        requested=request.requested,
        source_fields=request.source_fields,
        events=list(request.events) if request.events else None,
        cancel_at=now + timedelta(seconds=request.cancel_after) if request.cancel_after else None,
    )


def cancel_job(tx: Connection, job: Job, now: datetime, why: str = "canceled by hand") -> None:
    """Cancel a job that was not sent yet. Raises Conflict once it may have been sent."""
    # The reason of its hold no longer applies.
    changes = {"state": JobState.CANCELED, "due_at": None, "finished_at": now, "error": None}
    if not store.jobs.change(tx, job.id, [JobState.QUEUED, JobState.HELD], **changes):
        # Read again: a worker may have claimed it at this moment.
        state = (store.jobs.find(tx, job.id) or job).state
        raise Conflict(
            f"the job is {state}: only queued and held jobs can be canceled; "
            "mute it to stop its messages"
        )
    store.steps.add(tx, job.id, "canceled", why, now)
    record_event(tx, job, EventType.JOB_CANCELED, now)


def mute_job(tx: Connection, job: Job, now: datetime) -> None:
    """Stop all messages about a job and end its pending deliveries; a repetition does nothing."""
    store.jobs.change(tx, job.id, list(JobState), muted=True)
    ended = store.deliveries.end_pending(tx, now, job_id=job.id)
    if ended or not job.muted:
        what = "delivery" if ended == 1 else "deliveries"
        store.steps.add(tx, job.id, "muted", f"{ended} pending {what} ended", now)
