"""Tests of the room `media`."""

from __future__ import annotations
