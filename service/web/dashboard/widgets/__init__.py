"""Drawings that pages share: values in, numbers for an SVG out."""

from __future__ import annotations
