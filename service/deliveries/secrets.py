"""The signing secrets of a subscription, the caller's own or ours, and their rotation."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from service import store
from service.errors import FieldErrors
from service.model import Subscription
from service.signing import Encryptor, is_webhook_secret, new_webhook_secret

#: The time for which a replaced secret signs beside the new one.
OVERLAP = timedelta(hours=24)


def check_secret(given: Any, errors: FieldErrors) -> str | None:
    """The caller's own secret, checked; None if none is given. A fault is added to `errors`."""
    if given in (None, ""):
        return None
    if isinstance(given, str) and is_webhook_secret(given):
        return given
    message = "must be whsec_ and 24 to 64 bytes in base64, as Standard Webhooks requires"
    errors.add("/secret", "not_allowed", message)
    return None


def secrets_of(encryptor: Encryptor, subscription: Subscription, now: datetime) -> tuple[str, ...]:
    """The secrets to sign with: the current one, and during a rotation the previous one."""
    current = encryptor.decrypt(subscription.secret)
    until = subscription.previous_until
    if subscription.previous_secret is None or until is None or until <= now:
        return (current,)
    return current, encryptor.decrypt(subscription.previous_secret)


def rotate_secret(
    tx: Connection,
    encryptor: Encryptor,
    subscription: Subscription,
    now: datetime,
    secret: str | None = None,
) -> str:
    """
    Replace the secret and return the new one; the old one signs too for `OVERLAP`.

    Args:
        secret: the caller's own, ``whsec_…``; None to generate one.
    """
    # Read again: somebody else may replace it at this moment.
    subscription = store.subscriptions.lock(tx, subscription.id) or subscription
    secret = secret or new_webhook_secret()
    store.subscriptions.change(
        tx,
        subscription.id,
        secret=encryptor.encrypt(secret),
        previous_secret=subscription.secret,
        previous_until=now + OVERLAP,
    )
    return secret


def revoke_old_secret(
    tx: Connection,
    encryptor: Encryptor,
    subscription: Subscription,
    now: datetime,
    own: str | None = None,
) -> str:
    """
    End the old secret now, and return the secret that signs from now on.

    During an overlap the old one is the previous secret. Otherwise the current one
    itself is old, and a new one replaces it. A given `own` always replaces it.
    """
    subscription = store.subscriptions.lock(tx, subscription.id) or subscription
    secret, *old = secrets_of(encryptor, subscription, now)
    if own or not old:
        secret = rotate_secret(tx, encryptor, subscription, now, own)
    store.subscriptions.change(tx, subscription.id, previous_secret=None, previous_until=None)
    return secret
