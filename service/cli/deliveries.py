"""`deliveries` and `resend`: the messages that were sent, and sending one again."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from service import store
from service.cli.ask import Request, answer
from service.cli.help import Acting, ActingGroup, new_group
from service.cli.here import acting_account, open_here, own_delivery, whole_id
from service.cli.output import JsonOption, ago, print_fields, print_json, print_list, say
from service.deliveries.exchanges import as_curl, exchanges_of
from service.deliveries.listing import list_deliveries
from service.deliveries.redelivery import resend_delivery
from service.errors import Conflict, NotFound
from service.messages.content import cut, plain
from service.model import DeliveryState, utc_now
from service.model.delivery_json import (
    DeliveryJson,
    DeliveryWithContentJson,
    ListedDeliveryJson,
    delivery_json,
    full_delivery_json,
)

app = new_group(
    """
    List the newest deliveries, or show one.

    `show DLV` prints the requests and answers of one.

    Examples:
      clipbell deliveries --state exhausted
      clipbell deliveries --job job_01a2b3c4
      clipbell deliveries show dlv_01a2b3c4
    """,
    cls=ActingGroup,
    invoke_without_command=True,
    subcommand_metavar="[show DLV]",
)
DeliveryArgument = typer.Argument(metavar="DLV", help="A delivery's id, or the start of it.")


@app.callback()
def deliveries(
    context: typer.Context,
    state: DeliveryState = typer.Option(None, help="Only deliveries in this state."),
    job: str = typer.Option(None, "--job", help="Only deliveries about this job."),
    subscription: str = typer.Option(
        None, "--subscription", metavar="SUB", help="Only those to this subscription."
    ),
    limit: int = typer.Option(20, min=1, max=1000, metavar="N", help="Number of deliveries."),
    json_: bool = JsonOption,
) -> None:
    """List the newest deliveries."""
    if context.invoked_subcommand is not None:
        return
    query = {"state": state, "job_id": job, "subscription_id": subscription}

    def here() -> list[ListedDeliveryJson]:
        opened = open_here()
        with opened.db.read() as tx:
            names = ("job_id", "subscription_id")
            ids = {name: whole_id(tx, query[name]) or None for name in names}
            page = store.deliveries.page(tx, acting_account(tx).id, limit, **query | ids)
            return list_deliveries(tx, opened.encryptor, page)

    found = answer(Request("GET", "/v1/deliveries", query=query, limit=limit), here)
    none = "No deliveries yet."
    if any(query.values()):
        none = "No delivery matches: `clipbell deliveries` shows all."
    print_list(
        found,
        [_row(one) for one in found],
        json_,
        none=none,
        spare=("tries", "created", "last"),
        cut={"to": 14, "last": 24},
    )


def _row(one: ListedDeliveryJson) -> dict[str, str]:
    last = one["attempts"][-1] if one["attempts"] else None
    result = (last["error"] or f"{last['status'] or 'accepted'}") if last else ""
    return {
        "delivery": one["id"],
        "state": str(one["state"]),
        "event": one["type"] or "",
        "to": cut(plain(one["to"]), 32),
        "job": one["job_id"] or "",
        "created": ago(one["created_at"]),
        "tries": str(len(one["attempts"])),
        "last": cut(plain(result).removeprefix("the endpoint "), 48),
    }


@app.command(cls=Acting)
def show(
    delivery_id: str = DeliveryArgument,
    curl: bool = typer.Option(False, "--curl", help="Print the last request as a curl command."),
    json_: bool = JsonOption,
) -> None:
    """
    Print the request and the answer of each attempt.

    Examples:
      clipbell deliveries show dlv_01a2b3c4
      clipbell deliveries show dlv_01a2b3c4 --curl
    """

    def here() -> DeliveryWithContentJson:
        opened = open_here()
        with opened.db.read() as tx:
            delivery = own_delivery(tx, delivery_id)
            attempts = store.deliveries.all_attempts(tx, [delivery.id])
            exchanges = exchanges_of(tx, opened.encryptor, [delivery])
        return full_delivery_json(delivery, attempts, exchanges)

    found: DeliveryWithContentJson = answer(Request("GET", "/v1/deliveries/{}", delivery_id), here)
    if json_:
        print_json(found)
        return
    if not curl:
        _print_delivery(found)
        return
    sent = [attempt["request"] for attempt in found["attempts"] if attempt["request"]]
    if not sent:
        raise NotFound(f"nothing was sent for {found['id']} yet")
    last = sent[-1]
    if last["truncated"]:
        raise Conflict("the body is longer than 64 KiB, too long for a command")
    print(as_curl(last["method"], last["url"], last["headers"], last["body"]))


def _print_delivery(found: DeliveryWithContentJson) -> None:
    names = ("id", "state", "channel", "event_id", "job_id", "subscription_id")
    print_fields({name.removesuffix("_id"): dict(found)[name] for name in names})
    for attempt in found["attempts"]:
        result = attempt["error"] or f"answered {attempt['status'] or 'yes'}"
        say(f"\nAttempt {attempt['number']}, {attempt['started_at']}", style="bold")
        say(plain(f"{result} ({attempt['milliseconds']} ms)"))
        sent, received = attempt["request"], attempt["answer"]
        if sent is not None:
            say(f"\n> {sent['method']} {sent['url']}")
            _print_message(">", sent["headers"], sent["body"])
        if received is not None:
            say(f"\n< {received['status'] or ''}".rstrip())
            _print_message("<", received["headers"], received["body"])


def _print_message(mark: str, headers: Mapping[str, str], body: str) -> None:
    for name, value in headers.items():
        say(plain(f"{mark} {name}: {value}"))
    if body:
        say("\n".join(["", *(plain(line) for line in body.splitlines())]))


def resend(delivery_id: str = DeliveryArgument, json_: bool = JsonOption) -> None:
    """
    Send one delivery again, whatever its state.

    Examples:
      clipbell resend dlv_01a2b3c4
    """

    def here() -> DeliveryJson:
        with open_here().db.write() as tx:
            delivery = own_delivery(tx, delivery_id)
            resend_delivery(tx, delivery, utc_now())
            attempts = store.deliveries.all_attempts(tx, [delivery.id])
            return delivery_json(own_delivery(tx, delivery.id), attempts)

    found = answer(Request("POST", "/v1/deliveries/{}/resend", delivery_id), here)
    if json_:
        print_json(found)
    else:
        say(f"{found['id']} is sent again; see `clipbell deliveries show {found['id']}`.")
