"""Tests of the room `web`."""

from __future__ import annotations
