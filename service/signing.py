"""
Signatures and encryption: tokens in our URLs, Standard Webhooks, stored secrets.

Every purpose has its own key, derived from the secret keys, so a token for one
purpose is invalid for another. The newest key signs and encrypts, all keys verify.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from itsdangerous import BadData, BadSignature, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from service.errors import BadToken, ExpiredToken, SettingsError
from service.formatting import format_duration

#: The tolerance of a signature's time, in both directions, as in Standard Webhooks' libraries.
TOLERANCE_SECONDS = 300
#: The number and the length of tokens whose check is cached: the gate and
#: the view check the same one, a moment apart.
JUDGED_TOKENS = 128
JUDGED_LENGTH = 1000


def _signing_by(secret_keys: Sequence[str], purpose: str) -> dict[str, Any]:
    """The arguments of a serializer; itsdangerous expects the newest key last."""
    return {
        "secret_key": list(secret_keys[::-1]),
        "salt": f"clipbell.{purpose}",
        "signer_kwargs": {"key_derivation": "hmac", "digest_method": hashlib.sha256},
    }


class KeyRing(Sequence[str]):
    """
    The secret keys of a running process; the first one signs.

    All current keys verify, also those added since the process started. A revoked or
    expired key does not. The process signs with its own newest key, which the others know.
    A slice reads the keys once, an iteration several times.

    Args:
        read: returns the current keys, newest first. Raises SettingsError.
    """

    def __init__(self, read: Callable[[], Sequence[str]]) -> None:
        self._read = read
        self._begun = tuple(read())

    def valid_keys(self) -> tuple[str, ...]:
        """The current keys; the last known ones while they cannot be read."""
        try:
            current = self._read()
        except SettingsError:
            return self._begun
        first = next((key for key in self._begun if key in current), current[0])
        return (first, *(key for key in current if key != first))

    def own(self) -> tuple[str, ...]:
        """The current keys that the process started with."""
        current = self.valid_keys()
        return tuple(key for key in self._begun if key in current)

    def __getitem__(self, index: Any) -> Any:
        return self.valid_keys()[index]

    def __len__(self) -> int:
        return len(self.valid_keys())


def _require_canonical(token: str) -> None:
    """
    Raises BadSignature unless the token's signature is written as we write it.

    What it signs is compared byte by byte, but decoders of base64 pass over a ``=`` at the
    end, letters that are none, and bits that nothing needs.
    """
    signature = token.rpartition(".")[2]
    if base64_encode(base64_decode(signature)).decode() != signature:
        raise BadSignature("the signature is not canonical")


class UrlSigner:
    """
    Signed, expiring URLs of ours for one purpose, ``PATH/TOKEN``.

    The expiry is in the payload and `now` is passed in: the timed
    serializer would refuse a token from a clock that is slightly ahead.

    Args:
        secret_keys: read each time, so that a key revoked in a `KeyRing` ends at once.
        purpose: a token for another purpose is refused.
        path: the URL before the token, such as ``https://clips.example.com/v``.
    """

    def __init__(self, secret_keys: Sequence[str], purpose: str, path: str) -> None:
        self._secret_keys, self._purpose = secret_keys, purpose
        self._start = f"{path}/"

    @property
    def _keys(self) -> tuple[str, ...]:
        return tuple(self._secret_keys[:])

    @property
    def _serializer(self) -> URLSafeSerializer:
        return _url_serializer(self._keys, self._purpose)

    def url_for(self, expires_at: datetime, **payload: str) -> str:
        """The URL that carries `payload`; the same for the same payload and expiry."""
        token = self._serializer.dumps({**payload, "exp": int(expires_at.timestamp())})
        return self._start + (token if isinstance(token, str) else token.decode())

    def verify(self, token: str, now: datetime) -> dict[str, Any]:
        """
        The payload of a URL's token, with its expiry as ``exp``.

        Raises:
            BadToken: it is forged, truncated, or for another purpose.
            ExpiredToken: it is ours, but expired.
        """
        judge = _judged if len(token) <= JUDGED_LENGTH else _judged.__wrapped__
        payload = judge(token, self._keys, self._purpose)
        if payload is None:
            raise BadToken("the token is not one of ours")
        if now.timestamp() > payload["exp"]:
            raise ExpiredToken(payload)
        return {**payload}

    def token_in(self, url: str) -> str | None:
        """The token of a URL that starts as ours do, whether it is good or not; else None."""
        return url.removeprefix(self._start) if url.startswith(self._start) else None


@lru_cache(maxsize=JUDGED_TOKENS)
def _judged(token: str, secret_keys: tuple[str, ...], purpose: str) -> dict[str, Any] | None:
    """The payload of a token that one of the keys signed; None where it is none of ours."""
    try:
        payload = _url_serializer(secret_keys, purpose).loads(token)
        _require_canonical(token)
    except (BadData, UnicodeError):
        return None
    has_expiry = isinstance(payload, dict) and isinstance(payload.get("exp"), int)
    return payload if has_expiry else None


@lru_cache(maxsize=64)
def _url_serializer(secret_keys: Sequence[str], purpose: str) -> URLSafeSerializer:
    return URLSafeSerializer(**_signing_by(secret_keys, purpose))


class SessionSerializer(URLSafeSerializer):
    """
    Flask's session as a signed cookie, verified with all of our secret keys.

    Flask's own serializer is timed, see `UrlSigner`; our sessions contain their expiry.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        super().__init__(**_signing_by(secret_keys, "session"))

    def loads(self, s: str | bytes, *_: Any, **__: Any) -> dict[str, Any]:
        """The session, without Flask's limit of age. Raises BadSignature."""
        try:
            found = super().loads(s)
            _require_canonical(s if isinstance(s, str) else s.decode())
        except (BadData, UnicodeError) as error:
            raise BadSignature("the cookie is not one of ours") from error
        return found if isinstance(found, dict) else {}


class Encryptor:
    """Encrypts secrets for the database (Fernet; source: cryptography's MultiFernet)."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        each = []
        for key in secret_keys:
            derived = hmac.new(key.encode(), b"clipbell.seal", hashlib.sha256).digest()
            each.append(Fernet(base64.urlsafe_b64encode(derived)))
        self._newest, self._fernet = each[0], MultiFernet(each)

    def encrypt(self, text: str) -> str:
        """`text`, unreadable without the secret keys."""
        return self._fernet.encrypt(text.encode()).decode()

    def reencrypt(self, encrypted: str) -> str | None:
        """
        The same, sealed by the newest key; None where it is already.

        Raises:
            BadToken: no key fits.
        """
        try:
            self._newest.decrypt(encrypted.encode())
        except InvalidToken:
            return self.encrypt(self.decrypt(encrypted))
        return None

    def decrypt(self, encrypted: str) -> str:
        """The sealed text; raises BadToken when no key fits."""
        try:
            return self._fernet.decrypt(encrypted.encode()).decode()
        except (InvalidToken, UnicodeError) as error:
            message = (
                "a stored secret was encrypted with a key that is not here: set "
                "CLIPBELL_SECRET_KEYS, or copy secret_keys from the DATA_DIR where it was made"
            )
            raise BadToken(message) from error


def key_ids(secret_keys: Sequence[str]) -> str:
    """What tells secret keys from others and gives nothing of them away, with blanks between."""
    each = [hmac.new(key.encode(), b"clipbell.id", hashlib.sha256) for key in secret_keys]
    return " ".join(one.hexdigest()[:8] for one in each)


def new_webhook_secret() -> str:
    """A fresh Standard Webhooks secret: ``whsec_`` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def is_webhook_secret(text: str) -> bool:
    """Whether it is ``whsec_`` and 24 to 64 bytes in base64 (Standard Webhooks 1.0.0)."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return text.startswith("whsec_") and 24 <= len(key) <= 64


def webhook_headers(
    webhook_secrets: Sequence[str], event_id: str, now: datetime, body: bytes
) -> dict[str, str]:
    """
    The three headers of Standard Webhooks 1.0.0 for `body`.

    Args:
        webhook_secrets: ``whsec_…``; two during a rotation.
        event_id: the event's id, the same for all attempts.
        now: the time of this attempt.
    """
    timestamp = str(int(now.timestamp()))
    content = b".".join([event_id.encode(), timestamp.encode(), body])
    signatures = [_signature(secret, content) for secret in webhook_secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _signature(secret: str, content: bytes) -> str:
    text = secret.removeprefix("whsec_")
    key = base64.b64decode(text + "=" * (-len(text) % 4))
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def webhook_fault(
    webhook_secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime
) -> str | None:
    """
    The fault of a signed POST as a sentence; None if it is valid.

    Never raises, whatever a stranger sends.

    Args:
        headers: the headers, by their names in lower case.
    """
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    missing = [name for name in names if not headers.get(name)]
    if missing:
        return f"it lacks {', '.join(missing)}"
    id_, timestamp, given = (headers[name] for name in names)
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 12):
        return "webhook-timestamp is not a whole number of seconds"
    skew = now.timestamp() - int(timestamp)
    if abs(skew) > TOLERANCE_SECONDS:
        return (
            f"it was signed {format_duration(abs(skew))} {'ago' if skew > 0 else 'in the future'}"
        )
    content = b".".join([id_.encode("utf-8", "surrogateescape"), timestamp.encode(), body])
    known = [_signature(secret, content).encode() for secret in webhook_secrets]
    found = [word.encode("utf-8", "replace") for word in given.split(" ")]
    if any(hmac.compare_digest(one, other) for one in known for other in found):
        return None
    return "its signature matches no known secret"


def digest(text: str) -> str:
    """SHA-256 in hex: how keys are stored and targets compared."""
    return hashlib.sha256(text.encode()).hexdigest()
