"""Accounts and keys: made here, recognised here."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import Connection

from service import store
from service.model import Account, ApiKey, new_id
from service.signing import Sealer, digest, new_webhook_secret

SCOPES = ("read", "submit", "admin", "operator")
KEY_PREFIX = "clb_"


def create_account(
    tx: Connection, sealer: Sealer, name: str, owner_email: str | None, now: datetime
) -> Account:
    """A new account with a webhook secret of its own, sealed."""
    sealed = sealer.seal(new_webhook_secret())
    account = Account(new_id("acc", now), name, owner_email, sealed, now)
    store.accounts.insert(tx, account)
    return account


def create_key(
    tx: Connection, account_id: str, name: str, scopes: tuple[str, ...], now: datetime
) -> str:
    """A new key; the return value is the only time it is seen."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(
        new_id("key", now), account_id, name, digest(key), key[:8], list(scopes), now, None
    )
    store.accounts.insert_key(tx, row)
    return key


def key_in_force(tx: Connection, key: str) -> ApiKey | None:
    """The row of a key that somebody shows; None for anything else."""
    return store.accounts.key_by_digest(tx, digest(key)) if key else None
