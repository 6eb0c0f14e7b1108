"""
The one guarded HTTP client: every call to another machine leaves through here.

Enters: a method, a URL, a body, a deadline in seconds. Leaves: a `Response`, or
NotSent or NoAnswer. May import: errors.
"""

from __future__ import annotations
