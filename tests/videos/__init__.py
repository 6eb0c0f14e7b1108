"""Tests of the room `videos`."""

from __future__ import annotations
