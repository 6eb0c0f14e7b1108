"""Tests of the room `providers`."""

from __future__ import annotations
