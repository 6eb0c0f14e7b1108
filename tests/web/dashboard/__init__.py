"""The dashboard's pages, one file each, without a browser."""

from __future__ import annotations
