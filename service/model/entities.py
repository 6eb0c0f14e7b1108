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
    """Why a job failed or waits; `provider_code` keeps the vendor's own word."""

    code: str
    message: str
    retryable: bool
    hint: str
    provider_code: str | None = None


@dataclass(frozen=True)
class Charge:
    """What a vendor says that it has charged: so many dollars (``USD``), or of its own units."""

    unit: str
    amount: float


@dataclass(frozen=True)
class Outcome:
    """
    What a callback or a poll says became of a task.

    `result_url` is where the provider keeps the video, `result_file` the name
    of a file already in our storage (a call whose answer was the video),
    `cost` dollars, `charges` what the vendor has billed in its own units, `credits_left` the
    dollars that the vendor's account still has where it says so. `is_private` says that
    the link takes the vendor's key, so that it is nobody's but ours. `raw_state` and
    `message` are the provider's own words; `is_understood` is False where `raw_state` is a
    word that we don't know.
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
    The provider took the job: its task, and its outcome where the answer had it.

    `remark` keeps what the answer said besides, for the timeline.
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
    One video somebody asked for.

    `due_at` is when the row wants attention next (None: never by itself) and
    doubles as the lease of a claimed one; `claims` counts the claims and fences off
    a worker whose lease ran out. `failed_polls` counts polls in a row that found no
    task or no result, the first of them at `missing_since`. `notify` holds
    subscription ids; None means whatever the account has, as `ACCOUNTS_OWN` among
    them does. `requested` is the input as it was given where the choice of the vendor was
    left to us: then another one may have the job once those of `refused_by` have refused it.
    Only `events` are sent, None meaning all; one that is not sent by `cancel_at` is
    canceled. `source_fields` holds what the caller of a vendor-shaped API asked in its words, where
    `input` does not.
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
    """One inbound POST to a signed URL, kept byte for byte: still coded where it came coded."""

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
    """A callback that was refused: why, and from where; its body is not kept."""

    id: str
    reason: str
    remote: str
    received_at: datetime


@dataclass(frozen=True)
class Event:
    """
    A fact of ours; `sequence` counts within its job, `seq` within its account's feed.

    `seq` is None until the sequencer has seen the committed row. A fact about no
    job has its content in `about`; a `sample` is made up and labelled so.
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
    Who wants which events, by which channel, at which target.

    `target`, the secrets and `headers` are sealed at rest. A `hidden` one was made by a
    job's own `notify` and serves only deliveries that name it; a `hook` ends for
    good when its endpoint is gone. Empty `events` mean the default ones, empty
    `models` and `metadata` all jobs. `previous_secret` signs too, until
    `previous_until`.

    Its health: nothing is sent before `held_until`; until `slow_until` it counts
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

    `attempts` counts all tries, `scheduled_attempts` those that used up the schedule. A claimed
    one is under way until `leased_until`. `resending` is the state to fall back to
    when the one attempt fails that a person asked for, at `resent_at`.
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
    One try at a delivery; `response` holds the first bytes of the answer.

    A `manual` one was asked for by a person and counts for nothing else.
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
    What one attempt sent and what it was answered.

    `url` is masked, and so are values of `headers` that are secrets; `target_digest` is the
    SHA-256 of the whole URL. `body` is None where the delivery's frozen body was sent.
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
    """A whole channel that waits, and why."""

    name: str
    paused_until: datetime
    reason: str


@dataclass(frozen=True)
class Video:
    """Our stored copy of a result; `link_expires_at` keeps its link the same until renewed."""

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
    """A line of a job's timeline that follows from no other row."""

    job_id: str
    number: int
    kind: str
    message: str
    created_at: datetime
