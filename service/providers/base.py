"""
The contract of providers' adapters, and their common functions.

An adapter is stateless. A create call has exactly one of three results:
a `Submission`, `Refused` (there is certainly no task) or `Unanswered` (there
may be one). It never repeats a call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from service.catalogue.entries import Limits
from service.errors import BodyTooLarge, NoAnswer, NotSent, Refused, Unanswered
from service.media.image_formats import kind_of
from service.model import Job, Outcome, Submission
from service.model.error_codes import MONEY_WORDS, POLICY_WORDS
from service.outbound.client import Outbound, Response
from service.outbound.forms import FormFile, encode_form
from service.providers.bodies import is_json
from service.providers.envelope import Envelope
from service.providers.schemes import Scheme
from service.retry import parse_retry_after
from service.storage import media_type_of

STATUS_SECONDS = 30.0
JSON_BYTES = 1024 * 1024


@dataclass(frozen=True)
class WireRequest:
    """A create request as it will be sent; `secrets` are the names of secret headers."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any]
    secrets: tuple[str, ...] = ()
    method: str = "POST"
    #: Secret texts in the body.
    hidden: tuple[str, ...] = ()
    #: Whether the body is sent as a form, in which bytes are the file of an image.
    is_form: bool = False

    def masked(self) -> dict[str, Any]:
        """The request for people, with secrets masked."""
        shown = {k: "***" if k in self.secrets else v for k, v in self.headers.items()}
        body = json.dumps(self.body)
        for text in self.hidden:
            body = body.replace(json.dumps(text), '"***"')
        return {
            "method": self.method,
            "url": self.url,
            "headers": shown,
            "body": json.loads(body),
        }


@dataclass(frozen=True)
class PastTask:
    """
    A task in a vendor's history.

    `job_id` is our job in the vendor's record, None if it names none.
    """

    created_at: datetime | None
    job_id: str | None
    envelope: Envelope

    @property
    def task_id(self) -> str | None:
        """Its id."""
        return self.envelope.own_id

    @property
    def outcome(self) -> Outcome:
        """Its outcome, computed only on demand, since lists may be long."""
        return self.envelope.outcome()


class Provider(Protocol):
    """One vendor's API."""

    name: str
    limits: Limits
    #: Whether the create call lasts as long as the generation, and its time limit in seconds.
    holds_connection: bool
    submit_seconds: float
    #: The signature scheme of its callbacks; None without signatures, or without a secret.
    scheme: Scheme | None

    def headers(self) -> dict[str, str]:
        """The headers of every request, with the key."""

    def request_for(self, job: Job, callback_url: str) -> WireRequest:
        """The create request for this job, not sent; a blank `callback_url` means no callback."""

    def submit(self, job: Job, callback_url: str) -> Submission:
        """Send the create request, once. Raises Refused or Unanswered."""

    def fetch(self, job: Job) -> Outcome:
        """Get the outcome of `job.task_id`. Raises ProviderError; it may be repeated."""

    def parse(self, body: bytes) -> Outcome:
        """The outcome in a callback's body. Raises ProviderError if there is none."""

    def find(self, job: Job, job_of: Callable[[str], str | None]) -> str | None:
        """
        The id of the task of a job whose create got no answer; None if the vendor has none.

        Args:
            job_of: returns the job id in a callback URL; None for other URLs.

        Raises:
            ProviderError: the vendor does not answer, or has no lookup.
        """

    def history(self, since: datetime, job_of: Callable[[str], str | None]) -> Iterator[PastTask]:
        """
        The vendor's tasks since a time.

        Raises:
            ProviderError: the vendor does not answer, has no list, or an endless one.
        """


def send_create(outbound: Outbound, request: WireRequest, seconds: float) -> Response:
    """
    Send the one POST that may cost money. Raises Refused if unsent, Unanswered if unsure.

    An answer that breaks off counts if the JSON in it is whole: it may name the task.
    """
    if request.is_form:
        body, kind = _form_of(request.body)
    else:
        body, kind = json.dumps(request.body).encode(), "application/json"
    try:
        answer = outbound.call(
            request.method,
            request.url,
            headers={**request.headers, "Content-Type": kind},
            body=body,
            seconds=seconds,
            max_bytes=JSON_BYTES,
            unrepeatable=True,
            status_suffices=True,
        )
    except NotSent as error:
        raise Refused("PROVIDER_UNAVAILABLE", f"not sent: {error}") from error
    except NoAnswer as error:
        raise Unanswered("SUBMIT_TIMEOUT_UNKNOWN", f"sent, no answer: {error}") from error
    # Of one that is too long the status still counts.
    if answer.truncated and answer.size < JSON_BYTES and not is_json(answer.body):
        raise Unanswered("SUBMIT_TIMEOUT_UNKNOWN", f"sent, no whole answer: HTTP {answer.status}")
    return answer


def _form_of(fields: Mapping[str, str | bytes]) -> tuple[bytes, str]:
    """A form of texts and images, and its Content-Type."""
    parts: dict[str, str | FormFile] = {}
    for name, value in fields.items():
        if isinstance(value, bytes):
            file = f"{name}.{kind_of(value)}"
            parts[name] = FormFile(file, value, media_type_of(file))
        else:
            parts[name] = value
    return encode_form(parts)


def send_query(
    outbound: Outbound, url: str, headers: dict[str, str], body: dict[str, Any] | None = None
) -> Response:
    """
    Send a query, safe to repeat: a GET, or a POST with a body. Raises Unanswered.
    """
    asked = {"Content-Type": "application/json"} if body is not None else {}
    try:
        return outbound.call(
            "GET" if body is None else "POST",
            url,
            headers=headers | asked,
            body=None if body is None else json.dumps(body).encode(),
            seconds=STATUS_SECONDS,
            max_bytes=JSON_BYTES,
        )
    except (NotSent, NoAnswer, BodyTooLarge) as error:
        raise Unanswered("PROVIDER_UNAVAILABLE", str(error)) from error


def list_too_long(pages: int) -> Unanswered:
    """The error after the last page that is read of a list, since the rest is unknown."""
    return Unanswered("PROVIDER_UNAVAILABLE", f"its list has more than {pages} pages")


def wished_wait(answer: Response) -> float | None:
    """
    The seconds that the vendor asks us to wait, without a limit; None if it does not ask.

    Its own `Date` is the clock for its dates: without one a date asks for nothing.
    """
    spec = answer.headers.get("Retry-After", "")
    try:
        now = parsedate_to_datetime(answer.headers.get("Date", ""))
    except (ValueError, OverflowError):
        now = datetime.max
    return parse_retry_after(spec, now.replace(tzinfo=now.tzinfo or UTC))


def refusal_code(status: int, message: str) -> str:
    """Our error code for a refused request; for 403, 406, 422 and 429 the message decides too."""
    text = message.lower()
    # Further on, the words may be those of a prompt that is repeated.
    if 400 <= status < 500 and MONEY_WORDS.search(text[:100]):
        return "INSUFFICIENT_CREDITS"
    if status == 403:
        return "CONTENT_VIOLATION" if POLICY_WORDS.search(text) else "FORBIDDEN"
    if status == 406 and ("content type" in text or "content-type" in text):
        return "CONTENT_TYPE_BUG"
    if status == 406 and "limit" in text:
        return "SPEND_LIMIT"
    if status == 406 and ("credit" in text or "balance" in text or not text):
        return "INSUFFICIENT_CREDITS"
    if status == 429:
        return "CONCURRENCY_LIMIT" if "concurren" in text else "RATE_LIMITED"
    return _CODES.get(status, "PROVIDER_ERROR" if status >= 500 else "BAD_REQUEST")


_CODES = {
    401: "AUTH_INVALID",
    402: "INSUFFICIENT_CREDITS",
    404: "NOT_FOUND_MODEL",
    405: "METHOD_BUG",
    410: "NOT_FOUND_MODEL",
    502: "PROVIDER_UNAVAILABLE",
    503: "PROVIDER_UNAVAILABLE",
}
