"""Tests of the room `catalogue`."""

from __future__ import annotations
