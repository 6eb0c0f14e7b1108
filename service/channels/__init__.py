"""The rack of channels."""

from __future__ import annotations

from service.channels.webhook import Webhook

CHANNELS = {"webhook": Webhook}
