"""`deliveries`, `resend` and `trigger`: list them, attempt one again, send a sample."""

from __future__ import annotations

from collections import Counter

import typer

from service import store
from service.cli.account_option import acting_account
from service.cli.output import JsonOption, ago, console, open_wiring, print_json, table
from service.deliveries.redelivery import resend_delivery
from service.errors import NotFound
from service.events.record import record_sample
from service.model import DeliveryState, EventType
from service.model.serializers import delivery_json


def deliveries(
    state: DeliveryState = typer.Option(None, help="Only those in this state."),
    job: str = typer.Option(None, "--job", help="Only those of this job."),
    subscription: str = typer.Option(None, "--subscription", help="Only those to it."),
    limit: int = typer.Option(20, min=1, max=1000, help="How many."),
    json_: bool = JsonOption,
) -> None:
    """The newest deliveries with their attempts."""
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
        console().print("None: nobody was to be told of anything yet.")


def resend(delivery_id: str = typer.Argument(metavar="DLV"), json_: bool = JsonOption) -> None:
    """Attempt a delivery once more, whatever its state."""
    wiring = open_wiring()
    account = acting_account(wiring)
    with wiring.db.write() as tx:
        delivery = store.deliveries.owned(tx, account.id, delivery_id)
        if delivery is None:
            raise NotFound(f"there is no {delivery_id}: see `clipbell deliveries`")
        resend_delivery(tx, delivery, wiring.clock())
    if json_:
        print_json({"id": delivery_id, "state": DeliveryState.PENDING.value})
    else:
        console().print(f"{delivery_id} goes out once more.")


def trigger(
    event: EventType = typer.Argument(help="What seems to have happened."),
    json_: bool = JsonOption,
) -> None:
    """Record a labelled sample event. The worker delivers it as it does real ones."""
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
