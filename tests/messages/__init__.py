"""Tests of the room `messages`."""

from __future__ import annotations
