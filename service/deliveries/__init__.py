"""
Subscriptions, and the deliveries of events to them.

Enters: pending deliveries, and users' requests about subscriptions. Leaves:
attempts, and the health of each endpoint. May import: channels, messages,
events, store and below.
"""

from __future__ import annotations
