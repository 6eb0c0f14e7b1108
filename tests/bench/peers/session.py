"""
The least that can send: one `requests.Session` in a loop, which logs nothing.

``python -m bench.peers.session URL COUNT BYTES``.
"""

from __future__ import annotations

import json
import sys

import requests


def main(url: str, count: int, size: int) -> None:
    """So many POSTs of so many bytes."""
    session = requests.Session()
    # No look at the environment for each request.
    session.trust_env = False
    body = json.dumps({"data": {}}).ljust(size).encode()
    headers = {"Content-Type": "application/json"}
    for _ in range(count):
        session.post(url, body, headers=headers, timeout=30).raise_for_status()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
