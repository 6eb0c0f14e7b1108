"""Tests of the room `jobs`."""

from __future__ import annotations
