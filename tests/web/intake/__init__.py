"""Tests of how requests come in."""

from __future__ import annotations
