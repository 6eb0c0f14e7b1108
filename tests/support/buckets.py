"""Buckets of a moto server: S3's protocol over real HTTP."""

from __future__ import annotations

import logging
import os
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from moto.server import ThreadedMotoServer


class Buckets:
    """A server of S3's protocol on this machine."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def new(self) -> str:
        """The name of a new, empty bucket."""
        name = f"clips-{uuid.uuid4().hex[:12]}"
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")  # noqa: S310
        urllib.request.urlopen(request).close()  # noqa: S310
        return name

    def environ(self) -> dict[str, str]:
        """What an operator would set to use it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }


@contextmanager
def moto() -> Iterator[Buckets]:
    """The server, as long as the block lasts."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Buckets(f"http://{host}:{port}")
    server.stop()


def use(patch: pytest.MonkeyPatch, buckets: Buckets) -> None:
    """The environment of this process names that server, and no other of the operator's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in buckets.environ().items():
        patch.setenv(name, value)
