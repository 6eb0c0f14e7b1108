"""Tests of the room `api`."""

from __future__ import annotations
