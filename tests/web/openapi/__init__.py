"""Tests of the room `openapi`."""

from __future__ import annotations
