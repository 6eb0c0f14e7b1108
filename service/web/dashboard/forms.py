"""Forms that make something: sent twice, they make it once."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable

from flask import request
from sqlalchemy import Connection
from werkzeug.datastructures import FileStorage

from service import store
from service.web.context import caller, wiring


def form_token() -> str:
    """What tells one form that is given out from the next."""
    return secrets.token_urlsafe(16)


def submit_once(tx: Connection, make: Callable[[], str]) -> tuple[str, bool]:
    """The id of what this form makes, and whether it was made now or when it came before."""
    account, now = caller().account_id, wiring().clock()
    # The form as it came, each file by its digest; the token only says who sent it.
    sent = {name: texts for name, texts in request.form.lists() if name != "form_token"}
    for name, files in request.files.lists():
        sent[name] = [digest_of_file(file) for file in files]
    key = "form " + hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()
    if not store.idempotency.reserve(tx, account, key, "form", now):
        kept = store.idempotency.find(tx, account, key)
        return (str(kept.headers["made"]) if kept else ""), False
    made = make()
    store.idempotency.answer(tx, account, key, 303, {"made": made}, b"")
    return made, True


def digest_of_file(file: FileStorage) -> str:
    """SHA-256 of all of it, wherever it was read to."""
    file.seek(0)
    return hashlib.sha256(file.read()).hexdigest()
