"""Tests of the room `vendors`."""

from __future__ import annotations
