"""Tests of the room `deliveries`."""

from __future__ import annotations
