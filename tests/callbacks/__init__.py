"""Tests of the room `callbacks`."""

from __future__ import annotations
