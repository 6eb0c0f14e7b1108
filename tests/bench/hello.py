"""The least that a Flask app can do, for `bench.ingest` to compare with."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.post("/<token>")
def hello(token: str) -> str:
    """Neither read nor kept."""
    return '{"ok":true}'
