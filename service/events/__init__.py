"""
Events: each is recorded together with its deliveries.

Enters: a job and what happened to it. Leaves: an event and pending deliveries in
the same transaction. May import: model, store.
"""

from __future__ import annotations
