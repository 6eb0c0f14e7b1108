"""
What the bytes of a video or an image say: no network, no database.

Enters: a path or bytes. Leaves: sizes, lengths, a poster. May import: errors.
"""

from __future__ import annotations
