"""
``/openapi.json``: the API told from its own routes, and from data that stands beside them.

Paths, methods, scopes, query parameters and docstrings come from the app itself;
the rest is in `OPERATIONS`, by endpoint.
"""

from __future__ import annotations

from service.web.openapi.document import OPERATIONS, document

__all__ = ["OPERATIONS", "document"]
