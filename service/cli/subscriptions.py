"""`subscriptions`: who gets which messages, and where."""

from __future__ import annotations

from service.cli.lazy import LazyGroup

_CHANGE = "subscriptions_change"
group = LazyGroup(
    "subscriptions",
    """
    Manage who gets which messages, and where.

    Examples:
      clipbell subscriptions add slack https://hooks.slack.com/services/T0/B0/x --test
      clipbell subscriptions add email me@example.com --event job.failed
      clipbell subscriptions list
    """,
    {
        "add": (f"{_CHANGE}:add", "Add a subscription. Its secret is printed only once."),
        "list": ("subscriptions_show:list_all", "List subscriptions, oldest first."),
        "show": ("subscriptions_show:show", "Show one subscription."),
        "edit": (f"{_CHANGE}:edit", "Change the given fields. The rest stays the same."),
        "test": (f"{_CHANGE}:test", "Send a labelled sample now, and show the result."),
        "enable": (f"{_CHANGE}:enable", "Enable it again."),
        "disable": (f"{_CHANGE}:disable", "Disable it: nothing is sent until it is enabled."),
        "rotate-secret": (f"{_CHANGE}:rotate", "Replace the secret."),
        "remove": (f"{_CHANGE}:remove", "Remove it, with its pending deliveries."),
    },
)
