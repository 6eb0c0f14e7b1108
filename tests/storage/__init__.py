"""Tests of the room `storage`."""

from __future__ import annotations
