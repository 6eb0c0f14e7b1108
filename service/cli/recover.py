"""`recover`: deliver what a subscription has missed."""

from __future__ import annotations

from typing import Any

import typer

from service.cli.ask import Request, answer
from service.cli.here import open_here, own_subscription
from service.cli.output import JsonOption, SubArgument, print_json, say
from service.cli.parsing import moment
from service.deliveries.redelivery import Recovery, recover_since
from service.formatting import iso
from service.model import utc_now

SinceOption = typer.Option(
    ..., "--since", metavar="TIME", help="A time, or how long ago: 30min, 6h, 2d. Required."
)
MissingOption = typer.Option(
    False, "--missing", help="Also events that it never got, such as older ones."
)


def recover(
    subscription_id: str = SubArgument,
    since: str = SinceOption,
    missing: bool = MissingOption,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only count the deliveries."),
    json_: bool = JsonOption,
) -> None:
    """
    Send the failed deliveries to one subscription again.

    Examples:
      clipbell recover sub_01a2b3c4 --since 6h --dry-run
      clipbell recover sub_01a2b3c4 --since 6h
    """
    begin = moment(since, utc_now())

    def here() -> dict[str, Any]:
        opened = open_here()
        with opened.db.read() as tx:
            subscription = own_subscription(tx, subscription_id)
        wanted = Recovery(begin, missing, dry_run)
        count = recover_since(opened.db, subscription, wanted, utc_now)
        return {"id": subscription.id, "recovered": count}

    query = {"since": iso(begin), "missing": missing, "dry_run": dry_run, "cursor": ""}
    request = Request("POST", "/v1/subscriptions/{}/recover", subscription_id, query)
    count, following = 0, True
    while following:
        found = answer(request, here)
        count, following = count + found["recovered"], found.get("next_cursor")
        request.query["cursor"] = following
    subscription_id = found.get("id", subscription_id)
    if json_:
        print_json({"id": subscription_id, "recovered": count, "dry_run": dry_run})
        return
    deliveries = "1 delivery" if count == 1 else f"{count} deliveries"
    say(f"{deliveries} {'would' if dry_run else 'will'} be sent to {subscription_id}.")
    if count and not dry_run:
        say(f"See: `clipbell deliveries --subscription {subscription_id}`.")
