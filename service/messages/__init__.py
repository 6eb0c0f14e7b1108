"""
The messages about events, for people and programs: pure functions of values.

Enters: a `Notification`. Leaves: JSON bodies, Slack cards, mails. May import:
model, catalogue.
"""

from __future__ import annotations
