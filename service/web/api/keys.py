"""``/v1/keys``: the API keys of an account, managed by keys with the scope `admin`."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from flask import Blueprint, Response
from pydantic import with_config
from typing_extensions import TypedDict

from service import store
from service.accounts import KEY_SCOPES, create_key, key_of, parse_new_key, revoke_key
from service.model.account_json import key_json
from service.model.json_types import about
from service.web.context import caller, json_body, json_response, needs, wiring

blueprint = Blueprint("keys", __name__, url_prefix="/v1/keys")


@with_config(extra="forbid")
class NewKey(TypedDict):
    """A request for a key."""

    name: Annotated[
        str,
        about(
            "Its purpose.",
            "ci",
            min_length=1,
            max_length=80,
            json_schema_extra={"format": "name"},
        ),
    ]
    scopes: NotRequired[
        Annotated[
            list[Literal["read", "submit", "admin", "operator"]],
            about(
                f"Its scopes, at most those of your key. Missing: {' and '.join(KEY_SCOPES)}.",
                list(KEY_SCOPES),
                min_length=1,
            ),
        ]
    ]


@blueprint.get("")
@needs("admin")
def list_keys() -> Response:
    """The account's keys, oldest first, revoked ones too."""
    with wiring().db.read() as tx:
        found = store.accounts.keys(tx, caller().account_id)
    return json_response({"data": [key_json(key) for key in found], "next_cursor": None})


@blueprint.post("")
@needs("admin")
def create() -> Response:
    """Create a key. Only this answer shows it."""
    w = wiring()
    name, scopes = parse_new_key(json_body(), caller().scopes)
    with w.db.write() as tx:
        key = create_key(tx, caller().account_id, name, scopes, w.clock())
        shown = key_json(key_of(tx, key))
    return json_response({**shown, "api_key": key}, 201)


@blueprint.delete("/<key_id>")
@needs("admin")
def revoke(key_id: str) -> Response:
    """Revoke a key, and every session that it opened, at once."""
    w = wiring()
    with w.db.write() as tx:
        revoke_key(tx, caller().account_id, key_id, w.clock())
    return Response(status=204)
