"""Tests of the room `system`."""

from __future__ import annotations
