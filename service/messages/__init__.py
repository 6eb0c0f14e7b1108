"""
What people and programs read about an event: pure functions of values.

Enters: a `Notification`. Leaves: JSON bodies, Slack cards, mails. May import:
model, catalogue.
"""

from __future__ import annotations
