"""What each vendor sells: one file per vendor, each with one `VENDOR`."""

from __future__ import annotations
