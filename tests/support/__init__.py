"""What the tests share: servers, databases, factories, sandboxes."""

from __future__ import annotations
