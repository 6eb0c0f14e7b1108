"""What a test needs from this machine: a server, a program, a disk to mount."""

from __future__ import annotations

import os

import pytest


def need(missing: str) -> None:
    """
    Skip the test when something is missing; in CI it fails instead.

    Args:
        missing: what is missing and how to get it, on one line; blank when all is there.
            The end of the run shows each such line once.
    """
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
