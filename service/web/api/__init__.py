"""The HTTP API, one file per resource: JSON in, JSON out, rules below."""

from __future__ import annotations
