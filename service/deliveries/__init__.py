"""
Subscriptions, and the deliveries of events to them.

Enters: pending deliveries, and what users say of their subscriptions. Leaves:
attempts, and the health of each endpoint. May import: channels, messages,
events, store and below.
"""

from __future__ import annotations
