"""Tests of the files in deploy/, each checked by its own tool or run for real."""

from __future__ import annotations
