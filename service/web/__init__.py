"""The HTTP doors."""

from __future__ import annotations
