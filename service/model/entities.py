"""The words of Clipbell as values: frozen, each with what its fields mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.model.enums import (
    CONCLUDED,
    TERMINAL,
    CallbackState,
    DeliveryState,
    EventType,
    JobState,
    TaskState,
    VideoState,
)


@dataclass(frozen=True)
class JobError:
    """The reason why a job failed or waits; `provider_code` is the vendor's own code."""

    code: str
    message: str
    retryable: bool
    hint: str
    provider_code: str | None = None


@dataclass(frozen=True)
class Charge:
    """A vendor's charge: an amount in dollars (``USD``), or in the vendor's own unit."""

    unit: str
    amount: float


@dataclass(frozen=True)
class Outcome:
    """
    The state of a task by a callback or a poll.

    `result_url` is the provider's link to the video, `result_file` the name
    of a file in our storage (if the answer was the video itself),
    `cost` is in dollars, `charges` are in the vendor's own units, `credits_left` are the
    dollars left in the vendor's account, if it reports them. `is_private` says that
    the link needs the vendor's key, so that only we can use it. `raw_state` and
    `message` are the provider's own words; `is_understood` is False if `raw_state` is a
    unknown word.
    """

    state: TaskState
    task_id: str | None = None
    result_url: str | None = None
    result_file: str | None = None
    error: JobError | None = None
    cost: float | None = None
    raw_state: str = ""
    message: str = ""
    is_understood: bool = True
    #: Ids in a callback that may be the task's, the likeliest first.
    candidates: tuple[str, ...] = ()
    charges: tuple[Charge, ...] = ()
    credits_left: float | None = None
    is_private: bool = False

    @property
    def remark(self) -> str:
        """A line for the timeline about a state that we don't know; else empty."""
        if self.is_understood:
            return ""
        state = f"state {self.raw_state!r} is unknown" if self.raw_state else "answer has no state"
        message = f", its message: {self.message}" if self.message else ""
        return f"the provider's {state}{message}; the task counts as running"


@dataclass(frozen=True)
class Submission:
    """
    An accepted job: the provider's task, and the outcome if the answer had it.

    `remark` is a note about the answer for the timeline.
    """

    task_id: str
    outcome: Outcome | None = None
    remark: str = ""


@dataclass(frozen=True)
class Account:
    """An account owns jobs, keys and subscriptions, and sees only its own."""

    id: str
    name: str
    owner_email: str | None
    webhook_secret: str
    created_at: datetime
    last_served: int = 0


@dataclass(frozen=True)
class ApiKey:
    """A key's row; the key itself is stored only as its SHA-256."""

    id: str
    account_id: str
    name: str
    digest: str
    key_prefix: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None
    last_used: datetime | None = None


@dataclass(frozen=True)
class Job:
    """
    One video that somebody asked for.

    `due_at` is the time of the next work on the row (None: none by itself) and
    also the lease of a claimed row; `claims` counts the claims and blocks
    a worker whose lease has expired. `failed_polls` counts consecutive polls that found no
    task or no result, the first of them at `missing_since`. `notify` holds
    subscription ids; None means the account's subscriptions, as `ACCOUNTS_OWN` among
    them does. `requested` is the given input if the choice of the vendor was
    left to us: then another one may get the job once those in `refused_by` have refused it.
    Only `events` are sent (None: all). A job that is not sent by `cancel_at` is
    canceled. `source_fields` has the fields of a request to a vendor-shaped API that
    `input` does not contain.
    """

    id: str
    account_id: str
    model: str
    provider: str
    route: str
    source: str
    input: dict[str, Any]
    metadata: dict[str, Any]
    notify: list[str] | None
    state: JobState
    task_id: str | None
    error: dict[str, Any] | None
    resolved_by: str | None
    muted: bool
    estimated_min: float | None
    estimated_max: float | None
    actual_cost: float | None
    claims: int
    polls: int
    failed_polls: int
    due_at: datetime | None
    created_at: datetime
    sent_at: datetime | None
    submitted_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    overdue: bool
    batch_key: str | None = None
    batch_content: str | None = None
    missing_since: datetime | None = None
    requested: dict[str, Any] | None = None
    refused_by: list[str] | None = None
    source_fields: dict[str, Any] | None = None
    events: list[str] | None = None
    cancel_at: datetime | None = None

    @property
    def is_erased(self) -> bool:
        """Whether what it was about was deleted; its messages and callbacks are gone, too."""
        return not self.input

    @property
    def is_final(self) -> bool:
        """Whether nothing that a provider says can change it any more."""
        concluded = self.state is JobState.FAILED and (self.error or {}).get("code") in CONCLUDED
        return self.state in TERMINAL and not concluded


#: The longest callback that is kept, as it came and once it is decoded.
CALLBACK_BYTES = 1024 * 1024
#: The name under which looks at callback URLs are counted.
URL_CHECK = "url_check"


@dataclass(frozen=True)
class Callback:
    """One inbound POST to a signed URL, stored byte for byte, with its content coding."""

    id: str
    job_id: str
    provider: str
    digest: str
    headers: dict[str, str]
    body: bytes
    repeats: int
    state: CallbackState
    note: str
    claims: int
    due_at: datetime | None
    received_at: datetime


@dataclass(frozen=True)
class Rejection:
    """A rejected callback: its reason and sender; its body is not stored."""

    id: str
    reason: str
    remote: str
    received_at: datetime


@dataclass(frozen=True)
class Event:
    """
    An event; `sequence` counts within its job, `feed_sequence` within its account's feed.

    `feed_sequence` is None until the sequencer has seen the committed row. An event without a
    job has its content in `about`; a `sample` is invented and labelled.
    """

    id: str
    account_id: str
    job_id: str | None
    type: EventType
    sequence: int
    created_at: datetime
    about: dict[str, Any] | None = None
    sample: bool = False
    feed_sequence: int | None = None


@dataclass(frozen=True)
class Subscription:
    """
    A subscription: the events to send, by one channel, to one target.

    `target`, the secrets and `headers` are stored encrypted. A `hidden` one was made by a
    job's own `notify` and gets only deliveries that name it; a `hook` is removed
    when its endpoint answers 410. Empty `events` mean the default ones, empty
    `models` and `metadata` all jobs. `previous_secret` signs too, until
    `previous_until`.

    Health: nothing is sent before `held_until`; until `slow_until` it counts
    as slow; `failing_since` and `exhausted` count failed attempts and exhausted
    deliveries since the last success; at `announced_at` the owner was notified that
    it is off, until the next success.
    """

    id: str
    account_id: str
    channel: str
    target: str
    target_digest: str
    events: list[str]
    format: str
    secret: str
    hidden: bool
    enabled: bool
    disabled_reason: str | None
    held_until: datetime | None
    created_at: datetime
    hook: bool = False
    models: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    previous_secret: str | None = None
    previous_until: datetime | None = None
    slow_until: datetime | None = None
    failing_since: datetime | None = None
    exhausted: int = 0
    announced_at: datetime | None = None
    name: str = ""
    headers: str | None = None


@dataclass(frozen=True)
class Delivery:
    """
    One event for one subscription; `body` is frozen at the first attempt.

    `attempts` counts all attempts, `scheduled_attempts` those of the schedule. A claimed
    one is in progress until `leased_until`. `resending` is the state to return to
    if the attempt that a person requested at `resent_at` fails.
    """

    id: str
    account_id: str
    event_id: str
    job_id: str | None
    subscription_id: str
    channel: str
    state: DeliveryState
    attempts: int
    body: bytes | None
    claims: int
    due_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    scheduled_attempts: int = 0
    leased_until: datetime | None = None
    resending: DeliveryState | None = None
    resent_at: datetime | None = None


@dataclass(frozen=True)
class Attempt:
    """
    One try at a delivery; `response` is the beginning of the answer.

    A `manual` one was requested by a person and does not count for schedule or health.
    """

    delivery_id: str
    number: int
    status: int | None
    error: str | None
    response: str
    milliseconds: int
    created_at: datetime
    manual: bool = False


@dataclass(frozen=True)
class Exchange:
    """
    The request and the answer of one attempt.

    `url` and secret values of `headers` are masked; `target_digest` is the
    SHA-256 of the full URL. `body` is None if the delivery's stored body was sent.
    `status`, `answer_headers` and `answer` (its first 64 KiB) are None without an answer.
    """

    method: str
    url: str
    target_digest: str
    headers: dict[str, str]
    body: bytes | None = None
    status: int | None = None
    answer_headers: dict[str, str] | None = None
    answer: bytes | None = None
    truncated: bool = False


@dataclass(frozen=True)
class ChannelPause:
    """A paused channel, with the reason."""

    name: str
    paused_until: datetime
    reason: str


@dataclass(frozen=True)
class Video:
    """Our stored copy of a result; its link stays the same until `link_expires_at` is renewed."""

    id: str
    account_id: str
    job_id: str
    state: VideoState
    provider_url: str | None
    provider_expires_at: datetime | None
    file: str | None
    poster_file: str | None
    bytes: int | None
    sha256: str | None
    seconds: float | None
    width: int | None
    height: int | None
    attempts: int
    note: str
    claims: int
    due_at: datetime | None
    link_expires_at: datetime
    created_at: datetime
    stored_at: datetime | None
    deleted_at: datetime | None = None


@dataclass(frozen=True)
class Step:
    """A line of a job's timeline that is not derived from another row."""

    job_id: str
    number: int
    kind: str
    message: str
    created_at: datetime
