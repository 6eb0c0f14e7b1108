"""Tests of the room `model`."""

from __future__ import annotations
