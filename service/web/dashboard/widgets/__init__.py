"""Drawings that pages share: they turn values into numbers for an SVG."""

from __future__ import annotations
