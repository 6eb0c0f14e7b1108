"""The vendors' own APIs, served by us: same jobs, each vendor's shapes."""

from __future__ import annotations
