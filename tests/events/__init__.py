"""Tests of the room `events`."""

from __future__ import annotations
