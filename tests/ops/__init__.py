"""Tests of the room `ops`."""

from __future__ import annotations
