"""Clipbell beside what else does a part of its work; ``python -m bench.peers``."""

from __future__ import annotations
