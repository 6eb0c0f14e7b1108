"""The JSON of accounts and their keys; see `job_json`."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from service.formatting import iso
from service.model import Account, ApiKey
from service.model.json_types import AccountId, Moment, about


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


class KeyJson(TypedDict):
    """An API key, without the key itself."""

    id: Annotated[str, about("Its id.", "key_0198f3c2a1b47d6e9f00112233445566")]
    account_id: Annotated[AccountId, about("The account.")]
    name: Annotated[str, about("Its purpose.", "ci")]
    hint: Annotated[str, about("Its beginning.", "clb_4Rk1")]
    scopes: Annotated[list[str], about("Its scopes.", ["read", "submit"])]
    created_at: Annotated[Moment, about("The time of its creation.")]
    last_used: Annotated[
        Moment | None, about("The time of its last use, exact to a minute; null: never.", None)
    ]
    revoked_at: Annotated[Moment | None, about("The time at which it was revoked.", None)]


class KeyWithSecretJson(KeyJson):
    """A new API key."""

    api_key: Annotated[str, about("The key itself; shown only once.", "clb_4Rk1f8…")]


def key_json(key: ApiKey) -> KeyJson:
    """A key as people tell it from others, by its first letters; nobody can show the rest."""
    return {
        "id": key.id,
        "account_id": key.account_id,
        "name": key.name,
        "hint": key.key_prefix,
        "scopes": key.scopes,
        "created_at": iso(key.created_at),
        "last_used": iso(key.last_used),
        "revoked_at": iso(key.revoked_at),
    }
