"""The vendors' own APIs as doors of ours: same jobs, each vendor's shapes."""

from __future__ import annotations
