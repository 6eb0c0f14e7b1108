"""Tests of the room `rendering`."""

from __future__ import annotations
