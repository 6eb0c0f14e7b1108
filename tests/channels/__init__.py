"""Tests of the room `channels`."""

from __future__ import annotations
