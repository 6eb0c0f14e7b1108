"""
The sandbox provider: both vendors' wire protocols, and a real video at the end.

A house of its own that ships with the product; the adapters, the demo and the
tests talk to it over HTTP exactly as they would to the vendors.
"""

from __future__ import annotations

from service.sandbox.app import SandboxOptions, SandboxServer, create_sandbox

__all__ = ["SandboxOptions", "SandboxServer", "create_sandbox"]
