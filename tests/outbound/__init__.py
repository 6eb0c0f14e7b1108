"""Tests of the room `outbound`."""

from __future__ import annotations
