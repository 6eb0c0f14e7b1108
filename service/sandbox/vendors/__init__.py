"""The vendors' sides of the wire: one file per vendor, and what they share."""

from __future__ import annotations
