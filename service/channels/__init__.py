"""The rack of channels."""

from __future__ import annotations

from service.channels.email import Email
from service.channels.slack import Slack
from service.channels.webhook import Webhook

__all__ = ["Email", "Slack", "Webhook"]
