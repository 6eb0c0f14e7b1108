"""
What the page before has done, told on the next one.

The sentence travels in the address, signed, so that no stranger's link can put
words into our mouth.
"""

from __future__ import annotations

from datetime import timedelta

from flask import request

from service.errors import BadToken
from service.signing import TokenSigner
from service.web.context import caller, wiring

LIFE = timedelta(minutes=2)


def flash(text: str) -> str:
    """The value of ``told`` in the next page's address."""
    return _tokens().sign({"text": text, "key": caller().id}, wiring().clock() + LIFE)


def flashed() -> str:
    """The sentence in this page's address; blank where there is none of ours."""
    try:
        payload = _tokens().verify(request.args.get("flash", ""), wiring().clock())
    except BadToken:
        return ""
    return str(payload["text"]) if payload["key"] == caller().id else ""


def _tokens() -> TokenSigner:
    return TokenSigner(wiring().settings.keys(), "flash")
