"""
How vendors sign their callbacks: one class per scheme, not per vendor.

Our own signed URL says for which job a callback is; a vendor's signature says who sent it,
and in most schemes that the body is as it was sent. A secret may hold two, parted by a
comma, while a vendor changes from one to the other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service.errors import OutboundError, SettingsError, Unanswered
from service.outbound.client import Outbound
from service.providers.bodies import as_id, canonical, read_body
from service.signing import TOLERANCE_SECONDS, webhook_fault

log = logging.getLogger(__name__)

JWKS_SECONDS = 10.0
JWKS_BYTES = 256 * 1024
#: Keys are fetched afresh after a day; sooner where none of them fits, but not for every forgery.
JWKS_TTL = timedelta(hours=24)
JWKS_RETRY = timedelta(minutes=1)


class Scheme(Protocol):
    """One way of signing a callback."""

    #: Whether a good signature proves what the body says.
    covers_body: bool

    def fault(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        """
        What is wrong with a callback's signature, in a sentence; None when nothing is.

        Args:
            headers: the headers, by their names in lower case.
            now: when the callback arrived.

        Raises:
            Unanswered: the vendor's keys cannot be had.
        """


def secrets_in(text: str) -> list[str]:
    """The secrets of a setting."""
    return [part.strip() for part in text.split(",") if part.strip()]


class StandardWebhooks:
    """
    Standard Webhooks v1: HMAC over id, time and body; Kling, Replicate and many more.

    Args:
        setting: what the secret is called there.

    Raises:
        SettingsError: it is none, so that every callback would be refused.
    """

    covers_body = True

    def __init__(self, secret: str, setting: str) -> None:
        self._secrets = secrets_in(secret)
        if not self._secrets or not all(map(_is_base64, self._secrets)):
            raise SettingsError(
                f"{setting} must be whsec_ and base64, as the vendor shows it; two with a comma "
                "between them while the vendor changes from one to the other"
            )

    def fault(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        """See `Scheme`."""
        return webhook_fault(self._secrets, headers, body, now)


class TimedHmac:
    """
    One header ``t=TIME,v1=HEX``: HMAC over time, a separator and the body.

    Args:
        separator: a comma at OpenRouter, a dot elsewhere.
    """

    covers_body = True

    def __init__(self, secret: str, header: str, separator: str = ".") -> None:
        self._secrets, self._header, self._separator = secrets_in(secret), header, separator

    def fault(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        """See `Scheme`."""
        pairs = [part.strip().partition("=") for part in headers.get(self._header, "").split(",")]
        times = [value for name, _, value in pairs if name == "t"]
        given = [value for name, _, value in pairs if name == "v1"]
        if not (times and given):
            return f"it lacks {self._header} with t= and v1="
        signed = f"{times[0]}{self._separator}".encode() + body
        known = [_hmac(secret, signed).hex() for secret in self._secrets]
        return _time_fault(times[0], now) or _match(known, given)


class IdTimeHmac:
    """HMAC over the task's id and the time; the body may be anybody's (kie.ai)."""

    covers_body = False

    def __init__(self, secret: str, signature_header: str, time_header: str) -> None:
        self._secrets = secrets_in(secret)
        self._signature_header, self._time_header = signature_header, time_header

    def fault(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        """See `Scheme`."""
        time = headers.get(self._time_header, "")
        given = headers.get(self._signature_header, "")
        if not (time and given):
            return f"it lacks {self._signature_header} and {self._time_header}"
        tree = read_body(body)
        data = canonical(tree).get("data") if isinstance(tree, dict) else None
        # The task, in either of the vendor's spellings.
        task_id = as_id(canonical(data).get("taskid")) if isinstance(data, dict) else None
        signed = f"{task_id or ''}.{time}".encode()
        known = [base64.b64encode(_hmac(one, signed)).decode() for one in self._secrets]
        return _time_fault(time, now) or _match(known, [given])


class SharedHeader:
    """A header that holds the secret itself (PiAPI)."""

    covers_body = False

    def __init__(self, secret: str, header: str) -> None:
        self._secrets, self._header = secrets_in(secret), header

    def fault(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        """See `Scheme`."""
        given = headers.get(self._header, "")
        return _match(self._secrets, [given]) if given else f"it lacks {self._header}"


class Ed25519Jwks:
    """
    Ed25519 over four lines: request, user, time, and the body's SHA-256 (fal).

    The vendor's public keys are kept for a day; where they cannot be fetched, the old ones
    go on serving.

    Args:
        clock: says how old the keys are; a callback's own time may be long past.
    """

    covers_body = True
    _NAMES = ("request-id", "user-id", "timestamp", "signature")

    def __init__(
        self, outbound: Outbound, url: str, prefix: str, clock: Callable[[], datetime]
    ) -> None:
        self._outbound, self._url, self._clock = outbound, url, clock
        self._headers = [f"{prefix}-{name}" for name in self._NAMES]
        self._lock = threading.Lock()
        self._keys: list[Ed25519PublicKey] = []
        self._fetched_at: datetime | None = None

    def fault(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        """See `Scheme`."""
        values = [headers.get(name, "") for name in self._headers]
        if not all(values):
            return f"it lacks {', '.join(self._headers)}"
        *signed, signature = values
        if wrong := _time_fault(signed[2], now):
            return wrong
        text = "\n".join([*signed, hashlib.sha256(body).hexdigest()]).encode()
        try:
            raw = bytes.fromhex(signature)
        except ValueError:
            return "its signature is not hexadecimal"
        fits = any(self._fits(key, raw, text) for key in self._known_keys(JWKS_TTL))
        if not fits:
            # The vendor may have changed its key since.
            fits = any(self._fits(key, raw, text) for key in self._known_keys(JWKS_RETRY))
        return None if fits else "its signature matches none of the vendor's keys"

    @staticmethod
    def _fits(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
        try:
            key.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    def _known_keys(self, oldest: timedelta) -> list[Ed25519PublicKey]:
        """The keys, fetched again where they are older than this."""
        with self._lock:
            now = self._clock()
            if self._fetched_at and now - self._fetched_at < oldest:
                return self._keys
            try:
                self._keys = self._fetch()
                self._fetched_at = now
            except OutboundError as error:
                if not self._keys:
                    message = f"the keys at {self._url} cannot be fetched: {error}"
                    raise Unanswered("PROVIDER_UNAVAILABLE", message) from error
                log.warning("the keys at %s stay as they are: %s", self._url, error)
            return self._keys

    def _fetch(self) -> list[Ed25519PublicKey]:
        answer = self._outbound.call("GET", self._url, seconds=JWKS_SECONDS, max_bytes=JWKS_BYTES)
        tree = read_body(answer.body) if answer.status == 200 else None
        listed = tree.get("keys") if isinstance(tree, dict) else None
        found = [key for one in listed or () if (key := _public_key(one))]
        if not found:
            raise OutboundError(f"HTTP {answer.status} without an Ed25519 key")
        return found


def _public_key(jwk: Any) -> Ed25519PublicKey | None:
    """The key of one entry; None where it is of another kind."""
    text = jwk.get("x") if isinstance(jwk, dict) and jwk.get("kty") == "OKP" else None
    if not isinstance(text, str):
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, binascii.Error):
        return None


def _is_base64(secret: str) -> bool:
    text = secret.removeprefix("whsec_")
    try:
        return bool(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except ValueError:
        return False


def _hmac(secret: str, signed: bytes) -> bytes:
    return hmac.new(secret.encode(), signed, hashlib.sha256).digest()


def _time_fault(text: str, now: datetime) -> str | None:
    if not re.fullmatch(r"[0-9]{1,11}", text):
        return "its time is not a whole number of seconds"
    skew = abs(now.timestamp() - int(text))
    return f"it was signed {skew:.0f} s away from now" if skew > TOLERANCE_SECONDS else None


def _match(known: Sequence[str], given: Sequence[str]) -> str | None:
    """None where one of the texts is as it should be, compared in constant time."""
    pairs = [(one.encode(), other.encode("utf-8", "replace")) for one in known for other in given]
    # Each pair is looked at, whichever fits.
    fits = [hmac.compare_digest(one, other) for one, other in pairs]
    return None if any(fits) else "its signature matches no known secret"
