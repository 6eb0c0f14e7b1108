"""Requests made from /openapi.json by schemathesis, against a running service."""

from __future__ import annotations
