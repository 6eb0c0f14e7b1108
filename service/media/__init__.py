"""
Facts about videos and images from their bytes: no network, no database.

Enters: a path or bytes. Leaves: sizes, lengths, a poster. May import: errors.
"""

from __future__ import annotations
