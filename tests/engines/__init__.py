"""Tests of the room `engines`."""

from __future__ import annotations
