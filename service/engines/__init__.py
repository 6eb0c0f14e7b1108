"""Who runs a unit of work, and when."""

from __future__ import annotations
