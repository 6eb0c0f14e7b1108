"""Tests of the room `sinks`."""

from __future__ import annotations
