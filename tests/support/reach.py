"""How a test's adapter reaches its vendor."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from service.outbound.client import Outbound
from service.providers import Access
from service.settings import load_settings
from service.signing import UrlSigner
from service.storage import FileStorage
from service.storage.uploads import UploadStore
from support.harness import TestClock


def access(
    outbound: Outbound,
    base_url: str,
    key: str = "k",
    seconds: float = 5.0,
    folder: Path | None = None,
    webhook_secret: str = "",
    **settings: Any,
) -> Access:
    """
    A vendor at that address.

    Args:
        seconds: that a create may take, whichever kind of call it is.
        folder: of images and answers, where the test has any.
    """
    storage = FileStorage(folder or Path(tempfile.gettempdir()) / "no-such-folder")
    return Access(
        outbound=outbound,
        uploads=UploadStore(storage, UrlSigner(["k" * 40], "image", "http://127.0.0.1:9/i")),
        answers=storage,
        clock=TestClock(),
        settings=load_settings({}, **settings),
        base_url=base_url,
        api_key=key,
        submit_seconds=seconds,
        sync_seconds=seconds,
        webhook_secret=webhook_secret,
    )
