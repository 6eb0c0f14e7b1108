"""
The HTTP side: API, vendor-compatible API, dashboard, documentation.

Enters: requests. Leaves: responses. May import: everything but the command line;
nothing but the command line may import it.
"""

from __future__ import annotations
