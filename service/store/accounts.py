"""Accounts and their keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, or_, select

from service.model import Account, ApiKey
from service.store.schema import accounts, api_keys
from service.store.statements import row_where, take_turn
from service.store.work import add, value, values

#: An arbitrary, unique number; see `database.MIGRATION_LOCK`.
NAMING_LOCK = 7_013_203


def take_naming_turn(tx: Connection) -> None:
    """Block other creations of accounts until this transaction ends."""
    take_turn(tx, NAMING_LOCK)


def insert(tx: Connection, account: Account) -> None:
    """Insert a new account."""
    add(tx, accounts, account)


def insert_key(tx: Connection, key: ApiKey) -> None:
    """Insert a new key."""
    add(tx, api_keys, key)


def first(tx: Connection) -> Account | None:
    """The account that `clipbell init` made."""
    statement = select(accounts).order_by(accounts.c.id).limit(1)
    return value(Account, tx.execute(statement).one_or_none())


def find(tx: Connection, account_id: str) -> Account | None:
    """The account with this id, or None."""
    return value(Account, row_where(tx, accounts, id=account_id))


def everyone(tx: Connection) -> list[Account]:
    """All accounts, oldest first."""
    return values(Account, tx.execute(select(accounts).order_by(accounts.c.id)).all())


def named(tx: Connection, text: str) -> list[Account]:
    """The accounts with that id or that name, oldest first."""
    either = or_(accounts.c.id == text, accounts.c.name == text)
    return values(Account, tx.execute(select(accounts).where(either).order_by(accounts.c.id)).all())


def lock(tx: Connection, account_id: str) -> None:
    """Lock the account, and so its budget, until this transaction ends."""
    # On SQLite, a writing transaction is alone anyway.
    if tx.dialect.name != "sqlite":
        row_where(tx, accounts, lock=True, id=account_id)


def key_by_digest(tx: Connection, digest: str) -> ApiKey | None:
    """The key with this SHA-256 that is not revoked, or None."""
    found = value(ApiKey, row_where(tx, api_keys, digest=digest))
    return found if found and found.revoked_at is None else None


def key(tx: Connection, key_id: str) -> ApiKey | None:
    """The key with this id that is not revoked, or None."""
    statement = select(api_keys).filter_by(id=key_id, revoked_at=None)
    return value(ApiKey, tx.execute(statement).one_or_none())


def keys(tx: Connection, account_id: str) -> list[ApiKey]:
    """All keys of an account, oldest first."""
    statement = select(api_keys).filter_by(account_id=account_id).order_by(api_keys.c.id)
    return values(ApiKey, tx.execute(statement).all())


def owned_key(tx: Connection, account_id: str, key_id: str) -> ApiKey | None:
    """The account's key with this id, also if revoked; None if there is none."""
    statement = select(api_keys).filter_by(id=key_id, account_id=account_id)
    return value(ApiKey, tx.execute(statement).one_or_none())


def revoke_key(tx: Connection, key_id: str, now: datetime) -> None:
    """Revoke a key at once; a revoked key stays as it is."""
    tx.execute(api_keys.update().filter_by(id=key_id, revoked_at=None).values(revoked_at=now))
