"""A program that goes round the guard: ``python -m support.bypass PORT``."""

from __future__ import annotations

import sys
import threading
import urllib.request
from contextlib import suppress

from service.outbound.client import Outbound


def main(port: str) -> None:
    """One call by the guarded client, one by another library, in a thread."""
    url = f"http://127.0.0.1:{port}/"
    Outbound(["127.0.0.0/8"]).call("GET", url, seconds=5)

    def open_url() -> None:
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=5)

    thread = threading.Thread(target=open_url)
    thread.start()
    thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
