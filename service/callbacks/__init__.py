"""
Callbacks of vendors: stored before the answer, trusted once confirmed.

Enters: the bytes of a POST to a signed URL. Leaves: a stored row, and later the
outcome of its job. May import: jobs, providers, store and below.
"""

from __future__ import annotations
