"""Clipbell: send a video job, get the finished link."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a venv of an old Python can still run this
    sys.exit("Clipbell needs Python 3.11 or newer: make the venv with python3.11 or later")

__version__ = "0.1.0"
