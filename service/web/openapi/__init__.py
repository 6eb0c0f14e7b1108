"""
``/openapi.json``: the API described by its own routes, and by data beside them.

Paths, methods, scopes, query parameters and docstrings come from the app itself;
the rest is in `OPERATIONS`, by endpoint.
"""

from __future__ import annotations

from service.web.openapi.document import OPERATIONS, document

__all__ = ["OPERATIONS", "document"]
