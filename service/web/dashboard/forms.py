"""Forms that create something only once, even if they are sent twice."""

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
    """A token that identifies one form page."""
    return secrets.token_urlsafe(16)


def submit_once(tx: Connection, make: Callable[[], str]) -> tuple[str, bool]:
    """The id of the object that this form creates, and whether it was created now."""
    account, now = caller().account_id, wiring().clock()
    # Identifies a form by its fields, and by the digest of each file; not by its CSRF token.
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
    """The SHA-256 of a whole file, in hex, from its start."""
    file.seek(0)
    return hashlib.sha256(file.read()).hexdigest()
