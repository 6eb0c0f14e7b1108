"""Tests of the room `cli`."""

from __future__ import annotations
