"""Forms that make something: sent twice, they make it once."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from service import store
from service.web.context import caller, wiring


def fresh() -> str:
    """What tells one form that is given out from the next."""
    return secrets.token_urlsafe(16)


def made_once(
    tx: Connection, given: Mapping[str, str], make: Callable[[], str]
) -> tuple[str, bool]:
    """The id of what this form makes, and whether it was made now or when it came before."""
    account, now = caller().account_id, wiring().clock()
    same = {name: text for name, text in given.items() if name != "form_token"}
    key = "form " + hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
    if not store.idempotency.reserve(tx, account, key, "form", now):
        kept = store.idempotency.find(tx, account, key)
        return (str(kept.headers["made"]) if kept else ""), False
    made = make()
    store.idempotency.answer(tx, account, key, 303, {"made": made}, b"")
    return made, True
