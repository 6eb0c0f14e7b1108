"""What the API answers, as schemas: each field that is there, and what it means."""

from __future__ import annotations

from service.model import CallbackState, DeliveryState, EventType, JobState
from service.web.openapi.builders import (
    Schema,
    fields,
    list_of,
    maybe,
    moment,
    number,
    one_of,
    page_of,
    ref,
    text,
    things,
    whole,
    yes_or_no,
)


def _id(prefix: str, whose: str) -> Schema:
    return text(f"The {whose}'s id.", pattern=f"^{prefix}_[0-9a-f]{{32}}$")


_JOB = fields(
    "One video somebody asked for.",
    id=_id("job", "job"),
    model=text("What makes it."),
    provider=text("The vendor."),
    task_id=maybe(text("The vendor's own name for it.")),
    state=one_of("What became of it so far.", JobState),
    input=things("The input as it is sent, defaults filled in."),
    metadata=things("Yours, as you gave it."),
    video=maybe(ref("Video")),
    error=maybe(ref("JobError")),
    cost=ref("Cost"),
    created_at=moment("When it was asked for."),
    submitted_at=maybe(moment("When the vendor took it.")),
    finished_at=maybe(moment("When it ended.")),
    deadline_at=maybe(moment("When it counts as overdue.")),
)
_VIDEO = fields(
    "The result; the links are ours and stay the same.",
    url=maybe(text("Plays.", format="uri")),
    download_url=maybe(text("Saves.", format="uri")),
    poster_url=maybe(text("A frame of it, as JPEG.", format="uri")),
    bytes=maybe(whole("Its size.")),
    sha256=maybe(text("Of its bytes, in hex.")),
    seconds=maybe(number("Its length.")),
    width=maybe(whole("In pixels.")),
    height=maybe(whole("In pixels.")),
    provider_url=maybe(text("The vendor's own link.")),
    provider_expires_at=maybe(moment("When that ends.")),
    deleted_at=maybe(moment("When our copy was given up.")),
)
_JOB_ERROR = fields(
    "Why it failed or waits.",
    code=text("A stable word, such as `CONTENT_VIOLATION`."),
    message=text("What happened, for people."),
    retryable=yes_or_no("Whether a new job may succeed."),
    hint=text("What to do about it."),
    provider_code=maybe(text("The vendor's own word.")),
)
_COST = fields(
    "US dollars; null where nobody states it.",
    currency={"const": "USD", "type": "string", "description": "The currency."},
    estimated_min=maybe(number("At least.")),
    estimated_max=maybe(number("At most.")),
    actual=maybe(number("What the vendor said it was.")),
)
_DRY_RUN = fields(
    "What would be sent; nothing was.",
    dry_run={"const": True, "type": "boolean", "description": "Always true."},
    request=things("The exact request to the vendor, secrets masked."),
    cost=ref("Cost"),
    expected_seconds=number("The vendor's own figure."),
)
_TIMELINE = fields(
    "All that happened to a job, in order of time.",
    job_id=_id("job", "job"),
    state=one_of("What became of it so far.", JobState),
    data=list_of(
        fields(
            "One thing that happened; more fields by `kind`.",
            at=moment("When."),
            kind=text("`requested`, `submitted`, `callback`, `event`, `attempt` and others."),
            message=text("What, for people."),
        )
        | {"additionalProperties": True}
    ),
)
_MODEL = fields(
    "What can be asked for.",
    id=text("Its name in a job."),
    title=text("For people."),
    provider=text("The vendor."),
    available=yes_or_no("Whether this server has a key for that vendor."),
    routes=list_of(text("A route."), "What a job's `provider` may be."),
    input_schema=things("JSON Schema of its input."),
    price=fields(
        "Of one video.",
        currency=text("The currency."),
        min=maybe(number("At least.")),
        max=maybe(number("At most.")),
    ),
    expected_seconds=things("By the video's length, the vendor's own figure."),
)
_SUBSCRIPTION = fields(
    "Who wants which events, by which channel, at which target.",
    id=_id("sub", "subscription"),
    channel=text("The kind of transport."),
    target=text("Where to."),
    events=list_of(one_of("An event.", EventType)),
    format=text("The body's form."),
    models=list_of(text("A model."), "Only jobs of these; none: of all."),
    metadata=things("Only jobs that bear these pairs."),
    enabled=yes_or_no("Whether it is on."),
    disabled_reason=maybe(text("Why it was switched off.")),
    held_until=maybe(moment("Nothing is sent before, as the endpoint asked.")),
    failing_since=maybe(moment("Of the failures since the last success, the first.")),
    old_secret_until=maybe(moment("Until when the secret before signs too.")),
    created_at=moment("When it was made."),
)
_SECRET = text("Verifies what is sent; shown this once.", pattern="^whsec_")
_HOOK = fields(
    "A subscription as a REST hook.",
    id=_id("sub", "subscription"),
    target_url=text("Where to."),
    event=maybe(text("The event, where it is one.")),
    events=list_of(one_of("An event.", EventType)),
    format=text("The body's form."),
    models=list_of(text("A model.")),
    metadata=things("Only jobs that bear these pairs."),
    enabled=yes_or_no("Whether it is on."),
    created_at=moment("When it was made."),
    expiration_date={"type": "null", "description": "Hooks don't expire."},
)
_TRIAL = fields(
    "How a test went.",
    delivered=yes_or_no("Whether the sample was taken."),
    status=maybe(whole("What the endpoint answered.")),
    error=maybe(text("Why it was not taken.")),
    response=text("The first bytes of the answer."),
    milliseconds=whole("How long it took."),
)
_RECOVERED = fields(
    "How much is sent again.",
    recovered=whole("Deliveries that wait again."),
    next_cursor=maybe(text("What `?cursor=` takes to go on; null at the end.")),
)
_EVENT = fields(
    "A fact, with the body of its push.",
    id=_id("evt", "event"),
    seq=whole("1, 2, 3 … within your account; nothing is skipped."),
    type=one_of("What happened.", EventType),
    timestamp=moment("When."),
    api_version=text("Of the body."),
    sequence=whole("1, 2, 3 … within its job."),
    data={"anyOf": [ref("Job"), ref("SubscriptionNews")]},
)
_NEWS = fields(
    "What an event tells of a subscription.",
    subscription_id=text("Which."),
    channel=text("Its channel."),
    reason=maybe(text("Why.")),
)
_ATTEMPT = fields(
    "One try at a delivery.",
    number=whole("1, 2, 3 …"),
    started_at=moment("When."),
    manual=yes_or_no("Whether a person asked for it."),
    status=maybe(whole("What the endpoint answered.")),
    error=maybe(text("Why it failed.")),
    milliseconds=whole("How long it took."),
    response=text("The first bytes of the answer."),
)
_DELIVERY = fields(
    "One event for one subscription.",
    id=_id("dlv", "delivery"),
    event_id=_id("evt", "event"),
    job_id=maybe(_id("job", "job")),
    subscription_id=_id("sub", "subscription"),
    channel=text("The kind of transport."),
    state=one_of("How far it has come.", DeliveryState),
    next_attempt_at=maybe(moment("When it is tried next.")),
    attempts=list_of(ref("Attempt")),
    created_at=moment("When it was made."),
    finished_at=maybe(moment("When it was delivered or given up.")),
)
_CALLBACK = fields(
    "One POST of a vendor's to a signed URL of ours.",
    id=_id("cbk", "callback"),
    job_id=_id("job", "job"),
    provider=text("The vendor."),
    state=one_of("How far it has come.", CallbackState),
    note=text("What was made of it."),
    repeats=whole("How often the same bytes came again."),
    bytes=whole("The size of its body."),
    sha256=text("Of its body, in hex."),
    received_at=moment("When it came."),
)
_CONTENT = fields(
    "What it said.",
    headers=things("Its headers."),
    encoding=one_of("How `body` is written.", ("utf-8", "base64")),
    body=text("Its body, as it came."),
    decoded=maybe(text("Its body as text, where it came in a content coding such as gzip.")),
)
_REJECTION = fields(
    "A callback that was refused.",
    id=text("Its id."),
    reason=text("Why."),
    remote=text("From where."),
    received_at=moment("When it came."),
)
_PROVIDER = fields(
    "A vendor, as it is now.",
    id=text("Its name."),
    held=maybe(text("Why nothing is sent to it.")),
    paused_seconds=number("So long nothing is asked of it."),
    open_tasks=whole("Tasks that it may be working on."),
    task_limit=maybe(whole("How many it takes at once; null where it states none.")),
)
_ME = fields(
    "Whose key this is.",
    id=_id("acc", "account"),
    name=text("The account's name."),
    scopes=list_of(text("What the key may do.")),
    spent_today=number("US dollars, since midnight UTC."),
    remaining_budget=maybe(number("US dollars; null without a budget.")),
)
_HEALTH = fields("The process answers.", status={"const": "ok", "type": "string"})
_READINESS = fields(
    "What is as it should be, and what is not.",
    status=one_of("Whether jobs are taken and worked on.", ("ready", "degraded", "not ready")),
    checks=things("What was looked at: `ok`, or what is wrong and how to mend it."),
    polled_share=maybe(number("The part of recent ends that no callback told.")),
)
_PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "properties": {
        "type": text("`about:blank`: the status says what kind it is."),
        "title": text("The status in words."),
        "status": whole("The HTTP status."),
        "detail": text("What is wrong, in a sentence."),
        "hint": text("How to mend it."),
        "errors": list_of(ref("Fault"), "Every fault of the request at once."),
    },
    "required": ["type", "title", "status", "detail"],
}
_FAULT = fields(
    "One thing wrong with a request.",
    pointer=text("A JSON Pointer into the body, `?name` in the query, `#name` of a header."),
    code=text("A stable word for programs."),
    message=text("The sentence for people."),
)

SCHEMAS: dict[str, Schema] = {
    "Job": _JOB,
    "Video": _VIDEO,
    "JobError": _JOB_ERROR,
    "Cost": _COST,
    "DryRun": _DRY_RUN,
    "Timeline": _TIMELINE,
    "Model": _MODEL,
    "Subscription": _SUBSCRIPTION,
    "SubscriptionWithSecret": {
        **_SUBSCRIPTION,
        "properties": _SUBSCRIPTION["properties"] | {"secret": _SECRET},
        "required": [*_SUBSCRIPTION["required"], "secret"],
    },
    "Hook": _HOOK,
    "HookWithSecret": {
        **_HOOK,
        "properties": _HOOK["properties"] | {"secret": _SECRET},
        "required": [*_HOOK["required"], "secret"],
    },
    "Trial": _TRIAL,
    "Recovered": _RECOVERED,
    "Event": _EVENT,
    "SubscriptionNews": _NEWS,
    "Attempt": _ATTEMPT,
    "Delivery": _DELIVERY,
    "Callback": _CALLBACK,
    "CallbackWithContent": {
        **_CALLBACK,
        "properties": _CALLBACK["properties"] | _CONTENT["properties"],
        "required": [*_CALLBACK["required"], *_CONTENT["required"]],
    },
    "Rejection": _REJECTION,
    "Provider": _PROVIDER,
    "Me": _ME,
    "Health": _HEALTH,
    "Readiness": _READINESS,
    "Problem": _PROBLEM,
    "Fault": _FAULT,
    "Jobs": page_of("Job"),
    "Models": page_of("Model"),
    "Subscriptions": page_of("Subscription"),
    "Events": page_of("Event"),
    "Deliveries": page_of("Delivery"),
    "Callbacks": page_of("Callback"),
    "Rejections": page_of(
        "Rejection",
        counts=things("How many were refused, by reason."),
        url_checks=whole("How often a callback URL was looked at (GET or HEAD)."),
    ),
    "Providers": page_of("Provider"),
}
