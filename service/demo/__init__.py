"""What `clipbell demo` starts and follows."""

from __future__ import annotations
