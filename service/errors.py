"""All errors that Clipbell raises on purpose, with their details."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Self

#: The message for an address without a route, by which the command line finds a wrong base URL.
NO_SUCH_ADDRESS = "there is nothing at this address"


@dataclass(frozen=True)
class FieldError:
    """
    One fault of an input.

    `pointer` is a JSON Pointer into the body (``/input/duration``), `code` a
    stable code for programs, `message` a sentence for people.
    """

    pointer: str
    code: str
    message: str

    @property
    def names(self) -> list[str]:
        """The names of which the pointer consists."""
        parts = self.pointer.split("/")[1:]
        return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def json_pointer(*names: object) -> str:
    """The JSON Pointer (RFC 6901) with these names."""
    escaped = (str(name).replace("~", "~0").replace("/", "~1") for name in names)
    return "".join(f"/{name}" for name in escaped)


#: The longest word for which a suggestion is made.
LONGEST_WORD = 100


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """
    The suggestion at the end of a message about an unknown word; blank if no known one is near.

    Args:
        prefix: the common prefix of the words, which is not compared.
    """
    # Time and memory of the comparison grow with the word, which may be as long as a body.
    if len(word) >= LONGEST_WORD:
        return ""
    words = list(known)
    near = difflib.get_close_matches(word, words, 1)
    if len(word) > 2:
        near += [one for one in words if one.startswith(word)]
    return f"; did you mean {prefix}{near[0]}?" if near else ""


#: The most characters of a wrong value that a message repeats.
SHOWN_LENGTH = 40


def got(value: object) -> str:
    """The end of a message about a wrong value, such as "; got 7"."""
    if isinstance(value, str):
        value = value[: SHOWN_LENGTH + 1]
    elif isinstance(value, float) and value.is_integer():
        # What a form or a command line has read as 7.0 was written as 7.
        value = int(value)
    text = ""
    # Piece by piece: the value may be as large as a request's body.
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += piece
        if len(text) > SHOWN_LENGTH:
            text = text[: SHOWN_LENGTH - 1] + "…"
            break
    # Half a surrogate pair, which JSON may contain, cannot be sent as text.
    return f"; got {text.encode(errors='backslashreplace').decode()}"


class ClipbellError(Exception):
    """The base class of all errors of Clipbell."""


class InvalidInput(ClipbellError):
    """A request with invalid fields; it has all faults."""

    def __init__(self, faults: list[FieldError]) -> None:
        super().__init__("; ".join(f"{f.pointer or '/'}: {f.message}" for f in faults))
        self.faults = faults

    @classmethod
    def at(cls, pointer: str, code: str, message: str) -> Self:
        """An error with one fault."""
        return cls([FieldError(pointer, code, message)])


class FieldErrors:
    """
    A collection of an input's faults, to report all at once.

    Args:
        base: the JSON Pointer to which all pointers are relative.
    """

    def __init__(self, base: str = "") -> None:
        self.found: list[FieldError] = []
        self._base = base

    def add(self, pointer: str, code: str, message: str) -> None:
        """One more."""
        self.found.append(FieldError(self._base + pointer, code, message))

    @contextmanager
    def collect(self, pointer: str = "") -> Iterator[None]:
        """Add the faults of an InvalidInput in this block, below `pointer`; it ends the block."""
        try:
            yield
        except InvalidInput as error:
            for fault in error.faults:
                self.add(pointer + fault.pointer, fault.code, fault.message)

    def raise_any(self) -> None:
        """Raise InvalidInput if there are faults."""
        if self.found:
            raise InvalidInput(self.found)


class NotFound(ClipbellError):
    """The object does not exist, or belongs to another account."""


class Conflict(ClipbellError):
    """The state of the object does not allow this."""


class TooOften(ClipbellError):
    """The caller has reached a limit; nothing was done; retry after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Gone(ClipbellError):
    """The object existed, but is deleted; the message says how to continue."""


class SettingsError(ClipbellError):
    """A setting is missing or not valid; the message names it and the allowed values."""


class SchemaError(ClipbellError):
    """This version cannot work with the schema of the database."""


class BrokerUnavailable(ClipbellError):
    """The broker did not accept a hint; nothing is lost."""


class DatabaseUnavailable(ClipbellError):
    """The database is gone, read-only, full, locked or stuck; `reason` is a short explanation."""

    retry_after = 5

    def __init__(self, reason: str) -> None:
        super().__init__(f"the database is unavailable: {reason}")
        self.reason = reason


class BadToken(ClipbellError):
    """A token that we did not sign, or not for this purpose."""


class ExpiredToken(BadToken):
    """An expired token of ours; its `payload` can be trusted."""

    def __init__(self, payload: dict[str, object]) -> None:
        super().__init__("the token has expired")
        self.payload = payload


class CallbackTooLarge(ClipbellError):
    """A callback whose body, encoded or decoded, is too large."""


class Busy(ClipbellError):
    """A bounded queue is full; nothing was done; retry after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutboundError(ClipbellError):
    """A call to another machine without an answer; `timed_out` says whether time was up."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class NotSent(OutboundError):
    """Certainly nothing was received: the name lookup, the connection or TLS failed."""


class ForbiddenAddress(NotSent):
    """The name resolves to an address that outgoing calls may not reach."""


class NoAnswer(OutboundError):
    """The request may have been received: time-out, or the connection broke after sending."""


class BodyTooLarge(OutboundError):
    """The answer's body is too large; the part that was read is discarded."""


class ProviderError(ClipbellError):
    """A provider failed or refused; `code` is a key of `error_codes.FAILURES`."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        provider_code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.provider_code = provider_code
        self.retry_after = retry_after


class Refused(ProviderError):
    """The task certainly does not exist: it was not sent, or the vendor refused it."""


class Unanswered(ProviderError):
    """The task may exist: it was sent, and no answer settles it."""


class WrongTask(Unanswered):
    """The provider answered about another task than the requested one."""


class NextStep(Enum):
    """The consequence of a failed attempt at a delivery."""

    RETRY = "retry"  #: retry by the schedule, and not before the time that the receiver asks for
    GIVE_UP = "give up"  #: the receiver will never accept this delivery
    DISABLE = "disable"  #: the receiver will accept no delivery of this subscription
    PAUSE_CHANNEL = "pause channel"  #: the fault is ours: the whole channel is paused


class DeliveryError(ClipbellError):
    """
    A channel could not deliver; `next_step` is the consequence.

    `status` and `response` are the receiver's answer, if there is one. `wait_seconds`
    is the pause that the receiver asks for, or the pause of the channel.
    `timed_out` marks an endpoint as slow.
    """

    def __init__(
        self,
        message: str,
        next_step: NextStep = NextStep.RETRY,
        *,
        status: int | None = None,
        response: str = "",
        wait_seconds: float | None = None,
        timed_out: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.status = status
        self.response = response
        self.wait_seconds = wait_seconds
        self.timed_out = timed_out
