"""`deliveries`, `resend` and `trigger`: list them, attempt one again, send a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import typer

from service import store
from service.bootstrap import Wiring
from service.cli.account_option import Acting, ActingGroup, acting_account, whole_id
from service.cli.output import JsonOption, ago, console, open_wiring, print_json, table
from service.deliveries.exchanges import as_curl, exchanges_of
from service.deliveries.redelivery import resend_delivery
from service.deliveries.subscriptions import target_of
from service.errors import NotFound
from service.events.record import record_sample
from service.formatting import mask_target
from service.messages.content import cut, plain
from service.model import Delivery, DeliveryState, EventType, Subscription
from service.model.delivery_json import DeliveryWithContentJson, delivery_json, full_delivery_json

app = typer.Typer(
    cls=ActingGroup,
    invoke_without_command=True,
    subcommand_metavar="[show DLV]",
    help="List the newest deliveries; `show DLV` prints the requests and answers of one.",
)


@app.callback()
def deliveries(
    context: typer.Context,
    state: DeliveryState = typer.Option(None, help="Only deliveries in this state."),
    job: str = typer.Option(None, "--job", help="Only deliveries of this job."),
    subscription: str = typer.Option(
        None, "--subscription", help="Only those to this subscription."
    ),
    limit: int = typer.Option(20, min=1, max=1000, help="Number of deliveries."),
    json_: bool = JsonOption,
) -> None:
    """List the newest deliveries; `show DLV` prints the requests and answers of one."""
    if context.invoked_subcommand is not None:
        return
    wiring = open_wiring()
    account = acting_account(wiring)
    filters: dict[str, Any] = {"state": state, "job_id": whole_id(wiring, job)}
    filters["subscription_id"] = whole_id(wiring, subscription)
    with wiring.db.read() as tx:
        page = store.deliveries.page(tx, account.id, limit, **filters)
        events = store.events.of_ids(tx, {one.event_id for one in page})
        targets = store.subscriptions.of_ids(tx, {one.subscription_id for one in page})
        attempts = store.deliveries.all_attempts(tx, [delivery.id for delivery in page])
    if json_:
        print_json([delivery_json(delivery, attempts) for delivery in page])
        return
    counts = Counter(attempt.delivery_id for attempt in attempts)
    results = {a.delivery_id: a.error or f"{a.status or 'taken'}" for a in attempts}
    rows = [
        {
            "delivery": delivery.id,
            "state": delivery.state.value,
            "event": events[delivery.event_id].type if delivery.event_id in events else "",
            "to": _title(wiring, targets.get(delivery.subscription_id), delivery.channel),
            "created": ago(delivery.created_at),
            "tries": str(counts[delivery.id]),
            "last": cut(plain(results.get(delivery.id, "")), 48),
        }
        for delivery in page
    ]
    if rows:
        table(rows, spare="created")
    elif any(filters.values()):
        console().print("No delivery matches: `clipbell deliveries` shows all.")
    else:
        console().print("No deliveries yet.")


def _title(wiring: Wiring, subscription: Subscription | None, channel: str) -> str:
    """Where a delivery goes, in a few words."""
    if subscription is None:
        return channel
    target = mask_target(target_of(wiring.encryptor, subscription))
    return cut(subscription.name or f"{channel} {target}", 32)


@app.command(cls=Acting)
def show(
    delivery_id: str = typer.Argument(metavar="DLV"),
    curl: bool = typer.Option(False, "--curl", help="Print the last request as a curl command."),
    json_: bool = JsonOption,
) -> None:
    """Print the request and the answer of each attempt."""
    wiring = open_wiring()
    delivery = _owned(wiring, delivery_id)
    with wiring.db.read() as tx:
        attempts = store.deliveries.all_attempts(tx, [delivery.id])
        exchanges = exchanges_of(tx, wiring.encryptor, [delivery])
    if curl:
        if not exchanges:
            raise NotFound(f"nothing was sent for {delivery.id} yet")
        print(as_curl(exchanges[max(exchanges)], delivery.body))
        return
    shown = full_delivery_json(delivery, attempts, exchanges)
    if json_:
        print_json(shown)
    else:
        _print_delivery(shown)


def _print_delivery(shown: DeliveryWithContentJson) -> None:
    out = console()
    for name in ("id", "state", "channel", "event_id", "job_id", "subscription_id"):
        out.print(f"{name.removesuffix('_id'):<13} {shown[name]}", soft_wrap=True)
    for attempt in shown["attempts"]:
        result = attempt["error"] or f"answered {attempt['status'] or 'yes'}"
        out.print(f"\nAttempt {attempt['number']}, {attempt['started_at']}", style="bold")
        out.print(plain(f"{result} ({attempt['milliseconds']} ms)"), soft_wrap=True)
        sent, answer = attempt["request"], attempt["answer"]
        if sent is not None:
            out.print(f"\n> {sent['method']} {sent['url']}", soft_wrap=True)
            _print_message(">", sent["headers"], sent["body"])
        if answer is not None:
            out.print(f"\n< {answer['status'] or ''}".rstrip(), soft_wrap=True)
            _print_message("<", answer["headers"], answer["body"])


def _print_message(mark: str, headers: Mapping[str, str], body: str) -> None:
    out = console()
    for name, value in headers.items():
        out.print(plain(f"{mark} {name}: {value}"), soft_wrap=True)
    if body:
        out.print("\n".join(["", *(plain(line) for line in body.splitlines())]), soft_wrap=True)


def _owned(wiring: Wiring, delivery_id: str) -> Delivery:
    """The acting account's delivery of that id. Raises NotFound."""
    account = acting_account(wiring)
    delivery_id = whole_id(wiring, delivery_id) or delivery_id
    with wiring.db.read() as tx:
        delivery = store.deliveries.owned(tx, account.id, delivery_id)
    if delivery is None:
        raise NotFound(f"there is no {delivery_id}: see `clipbell deliveries`")
    return delivery


def resend(delivery_id: str = typer.Argument(metavar="DLV"), json_: bool = JsonOption) -> None:
    """Send a delivery once more, whatever its state."""
    wiring = open_wiring()
    delivery = _owned(wiring, delivery_id)
    with wiring.db.write() as tx:
        resend_delivery(tx, delivery, wiring.clock())
    if json_:
        print_json({"id": delivery.id, "state": DeliveryState.PENDING.value})
    else:
        console().print(f"{delivery.id} goes out once more.", soft_wrap=True)


def trigger(
    event: EventType = typer.Argument(help="Event to simulate."),
    json_: bool = JsonOption,
) -> None:
    """Create a labelled sample event. The worker delivers it like a real one."""
    wiring = open_wiring()
    account = acting_account(wiring)
    with wiring.db.write() as tx:
        sample = record_sample(tx, account.id, event, wiring.clock())
        page = store.deliveries.page(tx, account.id, 1000, event_id=sample.id)
    ids = [delivery.id for delivery in page]
    if json_:
        print_json({"id": sample.id, "type": event.value, "deliveries": ids})
    elif ids:
        pending = "1 delivery is" if len(ids) == 1 else f"{len(ids)} deliveries are"
        console().print(f"{sample.id}: {pending} pending.", soft_wrap=True)
        console().print("See: `clipbell deliveries`.")
    else:
        no_match = f"{sample.id} is recorded, but no subscription wants {event}."
        console().print(no_match, soft_wrap=True)
