"""The channels of a process; in a separate module, since most verbs need no transport."""

from __future__ import annotations

from importlib import import_module

from service.channels.apprise import Apprise
from service.channels.base import Channel
from service.channels.slack import Slack
from service.channels.slack_bot import SlackBot
from service.channels.webhook import Webhook
from service.outbound.client import Outbound
from service.settings import Settings


def open_channels(settings: Settings, outbound: Outbound) -> dict[str, Channel]:
    """The channels that can be used with these settings, by name."""
    found: dict[str, Channel] = {"webhook": Webhook(outbound), "slack": Slack(outbound)}
    smtp_url = settings.smtp_url.get_secret_value()
    token = settings.slack_bot_token.get_secret_value()
    if smtp_url:
        # Its import loads libraries for templates and addresses; many services send no mail.
        email = import_module("service.channels.email")
        found["email"] = email.Email(smtp_url, settings.mail_from)
    if token:
        found["slack_bot"] = SlackBot(outbound, token)
    return found | {"apprise": Apprise()}
