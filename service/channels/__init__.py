"""The rack of channels."""

from __future__ import annotations

from service.channels.apprise import Apprise
from service.channels.email import Email
from service.channels.slack import Slack
from service.channels.slack_bot import SlackBot
from service.channels.webhook import Webhook

__all__ = ["Apprise", "Email", "Slack", "SlackBot", "Webhook"]
