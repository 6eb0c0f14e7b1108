"""`deliveries`, `resend` and `trigger`: list them, attempt one again, send a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import typer

from service import store
from service.bootstrap import Wiring
from service.cli.account_option import Acting, ActingGroup, acting_account
from service.cli.output import JsonOption, ago, console, open_wiring, print_json, table
from service.deliveries.exchanges import as_curl, exchanges_of
from service.deliveries.redelivery import resend_delivery
from service.errors import NotFound
from service.events.record import record_sample
from service.messages.content import plain
from service.model import Delivery, DeliveryState, EventType
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
    filters = {"state": state, "job_id": job, "subscription_id": subscription}
    with wiring.db.read() as tx:
        page = store.deliveries.page(tx, account.id, limit, **filters)
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
            "channel": delivery.channel,
            "made": ago(delivery.created_at),
            "attempts": str(counts[delivery.id]),
            "last": results.get(delivery.id, ""),
        }
        for delivery in page
    ]
    if rows:
        table(rows, spare="made")
    else:
        console().print("No deliveries yet.")


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
        print_json({"id": delivery_id, "state": DeliveryState.PENDING.value})
    else:
        console().print(f"{delivery_id} goes out once more.")


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
    else:
        no_match = f"{sample.id} is recorded, but no subscription wants {event}."
        console().print(no_match, soft_wrap=True)
