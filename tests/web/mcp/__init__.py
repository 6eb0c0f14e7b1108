"""Tests of the room `compat`."""

from __future__ import annotations
