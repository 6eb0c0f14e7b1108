"""
The channels: one file per kind of transport, each passing the same contract suite.

Enters: a `Notification` to render, then a `DeliveryRequest` to send. Leaves: a
body, then a `DeliveryResult` or a DeliveryError. May import: messages, outbound,
signing and below.
"""

from __future__ import annotations
