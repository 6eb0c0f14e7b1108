"""Clipbell: send a video job, get the finished link."""

from __future__ import annotations

__version__ = "0.1.0"
