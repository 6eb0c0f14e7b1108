"""Tests of the room `settings`."""

from __future__ import annotations
