"""Tests of the room `sandbox`."""

from __future__ import annotations
