"""
The HTTP side: API, vendors' doors, dashboard, documentation.

Enters: requests. Leaves: responses. May import: everything but the command line;
nothing but the command line may import it.
"""

from __future__ import annotations
