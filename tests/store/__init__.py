"""Tests of the room `store`."""

from __future__ import annotations
