"""
``python -m hostile.coverage -max_total_time=60``: atheris looks for bytes that raise.

It needs ``pip install atheris``, which is no dependency of the tests, and aims at what reads
strangers' bytes before anything is known of them.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from service.errors import BadToken
from service.signing import UrlSigner, webhook_fault
from service.web.intake.framing import Chunks, Head, Incoming

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: What is instrumented; all that is imported would take a minute.
AIMS: tuple[tuple[type, str], ...] = (
    (Chunks, "feed"),
    (Chunks, "_end_line"),
    (Incoming, "feed_head"),
    (Incoming, "expect_body"),
    (Incoming, "feed_body"),
    (UrlSigner, "verify"),
)
SIGNER = UrlSigner(["k" * 40], "callback", "")


def one_input(data: bytes) -> None:
    """Raises where any of these raises what it does not promise, or takes a forged token."""
    text = data.decode("utf-8", "surrogateescape")
    Head.parse(data)
    chunks = Chunks()
    for at in range(0, len(data), 7):
        chunks.feed(data[at : at + 7])
    _frame(data)
    headers = {"webhook-id": text, "webhook-timestamp": text, "webhook-signature": text}
    webhook_fault(["whsec_" + "A" * 32], headers, data, NOW)
    try:
        SIGNER.verify(text, NOW)
    except BadToken:
        return
    raise AssertionError("a forged token was taken")


def _frame(data: bytes) -> None:
    incoming = Incoming(Path(tempfile.gettempdir()))
    behind = incoming.feed_head(data)
    if behind is not None:
        incoming.expect_body(100)
        incoming.feed_body(behind)
    incoming.close()


def main() -> None:
    """Fuzz until the time is over, or something raises."""
    atheris = importlib.import_module("atheris")
    for owner, name in AIMS:
        setattr(owner, name, atheris.instrument_func(getattr(owner, name)))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
