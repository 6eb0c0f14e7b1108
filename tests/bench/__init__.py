"""Measurements, each run by one command from tests/; the README tells its figures."""

from __future__ import annotations
