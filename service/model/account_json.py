"""The JSON of accounts and their keys; see `job_json`."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from service.formatting import iso
from service.model import (
    Account,
    ApiKey,
)


class AccountJson(TypedDict):
    """An account, without its secret."""

    id: str
    name: str
    owner_email: str | None
    created_at: str


def account_json(account: Account) -> AccountJson:
    """The account's shape."""
    return {
        "id": account.id,
        "name": account.name,
        "owner_email": account.owner_email,
        "created_at": iso(account.created_at),
    }


def key_json(key: ApiKey) -> dict[str, Any]:
    """A key as people tell it from others, by its first letters; nobody can show the rest."""
    return {
        "id": key.id,
        "account_id": key.account_id,
        "name": key.name,
        "hint": key.key_prefix,
        "scopes": key.scopes,
        "created_at": iso(key.created_at),
        "revoked_at": iso(key.revoked_at),
        "last_used": iso(key.last_used),
    }
