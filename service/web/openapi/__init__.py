"""
``/openapi.json``: the description of the API, from its routes and further data.

Paths, methods, scopes, query parameters and docstrings come from the app;
the rest is in `OPERATIONS`, by endpoint.
"""

from __future__ import annotations

from service.web.openapi.document import OPERATIONS, document

__all__ = ["OPERATIONS", "document"]
