"""Accounts and API keys: creation, lookup and revocation."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from service import store
from service.errors import (
    Conflict,
    FieldError,
    FieldErrors,
    InvalidInput,
    NotFound,
    got,
    json_pointer,
)
from service.model import Account, ApiKey, new_id
from service.signing import Encryptor, digest, new_webhook_secret

SCOPES = ("read", "submit", "admin", "operator")
#: The default scopes of a key, and the scopes of an account's first key.
KEY_SCOPES = ("read", "submit")
OWNER_SCOPES = (*KEY_SCOPES, "admin")
KEY_PREFIX = "clb_"
NAME_LENGTH = 80


def create_account(
    tx: Connection, encryptor: Encryptor, name: str, owner_email: str | None, now: datetime
) -> Account:
    """
    Create an account with its own webhook secret, stored encrypted.

    Raises:
        InvalidInput: the name is not valid.
        Conflict: another account has this name.
    """
    _check_name(name)
    store.accounts.take_naming_turn(tx)
    if store.accounts.named(tx, name):
        raise Conflict(f"there is an account named {name} already: choose another name")
    encrypted = encryptor.encrypt(new_webhook_secret())
    account = Account(new_id("acc", now), name, owner_email, encrypted, now)
    store.accounts.insert(tx, account)
    return account


def find_account(tx: Connection, text: str) -> Account:
    """The account with this id or name. Raises NotFound, or Conflict if several have the name."""
    found = store.accounts.named(tx, text)
    if not found:
        raise NotFound(f"there is no account {text[:80]}")
    if len(found) > 1:
        ids = ", ".join(account.id for account in found)
        raise Conflict(f"{len(found)} accounts are named {text}: say which by its id: {ids}")
    return found[0]


def _check_name(name: str) -> None:
    """Raise InvalidInput for an invalid name, such as one that looks like an id."""
    if not name.strip() or not name.isprintable() or len(name) > NAME_LENGTH:
        message = f"must be 1 to {NAME_LENGTH} characters on one line"
        raise InvalidInput([FieldError("/name", "not_allowed", message)])
    if name.startswith("acc_"):
        raise InvalidInput(
            [FieldError("/name", "not_allowed", "must not begin with acc_, as ids do")]
        )


def create_key(
    tx: Connection, account_id: str, name: str, scopes: tuple[str, ...], now: datetime
) -> str:
    """
    Create a key and return it; only its digest is stored.

    Raises:
        InvalidInput: no scope, or an unknown one.
    """
    _check_name(name)
    if not scopes or set(scopes) - set(SCOPES):
        message = f"must be some of {', '.join(SCOPES)}{got(' '.join(scopes))}"
        raise InvalidInput([FieldError("/scopes", "not_allowed", message)])
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(
        new_id("key", now), account_id, name, digest(key), key[:8], list(scopes), now, None
    )
    store.accounts.insert_key(tx, row)
    return key


def parse_new_key(given: Any, allowed: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """
    Parse a request for a key; returns its name and scopes.

    Args:
        allowed: the caller's own scopes; no other scope can be given.

    Raises:
        InvalidInput: all faults, except those of the name, which `create_key` finds.
    """
    if not isinstance(given, dict):
        raise InvalidInput.at("", "wrong_type", "the body must be a JSON object")
    errors = FieldErrors()
    for name in given.keys() - {"name", "scopes"}:
        errors.add(json_pointer(name), "unknown_field", "takes name, scopes")
    if not isinstance(given.get("name"), str):
        errors.add("/name", "required", "say what the key is for, such as ci")
    scopes = given.get("scopes", list(KEY_SCOPES))
    if not isinstance(scopes, list) or not scopes:
        message = f"must be a list of {', '.join(SCOPES)}{got(scopes)}"
        errors.add("/scopes", "wrong_type", message)
        scopes = []
    for place, scope in enumerate(scopes):
        if scope not in SCOPES:
            message = f"must be one of {', '.join(SCOPES)}{got(scope)}"
            errors.add(f"/scopes/{place}", "not_allowed", message)
        elif scope not in allowed:
            message = f"your own key does not have the scope {scope}; it has {', '.join(allowed)}"
            errors.add(f"/scopes/{place}", "not_allowed", message)
    errors.raise_any()
    return given["name"], tuple(dict.fromkeys(scopes))


def key_of(tx: Connection, key: str) -> ApiKey:
    """The row of a key. Raises NotFound."""
    found = key_in_force(tx, key)
    if found is None:
        raise NotFound("the key was revoked")
    return found


def key_in_force(tx: Connection, key: str) -> ApiKey | None:
    """The row of a presented key; None if it is unknown or revoked."""
    return store.accounts.key_by_digest(tx, digest(key)) if key else None


def revoke_key(tx: Connection, account_id: str, key_id: str, now: datetime) -> ApiKey:
    """
    Revoke a key of this account at once, wherever it is used; a repetition changes nothing.

    Raises:
        NotFound: the account has no such key.
    """
    found = store.accounts.owned_key(tx, account_id, key_id)
    if found is None:
        raise NotFound(f"the account has no key {key_id[:80]}")
    store.accounts.revoke_key(tx, key_id, now)
    return store.accounts.owned_key(tx, account_id, key_id) or found
