"""MCP at ``/mcp``: the same jobs as tools for agents."""

from __future__ import annotations
