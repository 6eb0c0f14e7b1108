"""`subscriptions list` and `show`."""

from __future__ import annotations

from service import store
from service.cli.ask import Request, answer
from service.cli.here import acting_account, open_here, own_subscription
from service.cli.output import JsonOption, SubArgument, print_fields, print_json, print_list
from service.deliveries.subscriptions import shown_subscription
from service.model.delivery_json import SubscriptionJson

ONE = "/v1/subscriptions/{}"


def list_all(json_: bool = JsonOption) -> None:
    """
    List subscriptions, oldest first.

    Examples:
      clipbell subscriptions list
    """

    def here() -> list[SubscriptionJson]:
        opened = open_here()
        with opened.db.read() as tx:
            found = store.subscriptions.all_of(tx, acting_account(tx).id)
            return [shown_subscription(opened.encryptor, one) for one in found]

    found: list[SubscriptionJson] = answer(Request("GET", "/v1/subscriptions", limit=0), here)
    rows = [
        {
            "subscription": one["id"],
            "channel": one["channel"],
            "name": one["name"],
            "target": one["target"],
            "events": " ".join(one["events"]),
            "state": "on" if one["enabled"] else f"off: {one['disabled_reason'] or 'by hand'}",
        }
        for one in found
    ]
    print_list(
        found, rows, json_, none="None yet: try `clipbell subscriptions add slack https://…`."
    )


def show(subscription_id: str = SubArgument, json_: bool = JsonOption) -> None:
    """
    Show one subscription.

    Examples:
      clipbell subscriptions show sub_01a2b3c4
    """
    print_subscription(get_subscription(subscription_id), json_)


def get_subscription(subscription_id: str) -> SubscriptionJson:
    """The account's subscription of that id or beginning, here or over the API."""

    def here() -> SubscriptionJson:
        opened = open_here()
        with opened.db.read() as tx:
            return shown_subscription(opened.encryptor, own_subscription(tx, subscription_id))

    found: SubscriptionJson = answer(Request("GET", ONE, subscription_id), here)
    return found


def print_subscription(found: SubscriptionJson, json_: bool) -> None:
    """Print one, a line for each field."""
    if json_:
        print_json(found)
    else:
        print_fields(found)
