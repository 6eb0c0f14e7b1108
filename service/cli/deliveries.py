"""`deliveries`, `resend` and `trigger`: what went out, once more, and a sample."""

from __future__ import annotations

from typing import Any

import typer

from service import store
from service.bootstrap import Wiring
from service.cli.account_option import acting_account
from service.cli.output import JsonOption, ago, console, open_wiring, print_json, table
from service.deliveries.redelivery import resend_delivery
from service.errors import NotFound
from service.events.record import record_sample
from service.model import Attempt, Delivery, DeliveryState, EventType
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
    which = {"state": state, "job_id": job, "subscription_id": subscription}
    with wiring.db.read() as tx:
        found = store.deliveries.page(tx, account.id, limit, **which)
        attempts = store.deliveries.all_attempts(tx, [delivery.id for delivery in found])
    if json_:
        print_json([delivery_json(delivery, attempts) for delivery in found])
    elif not found:
        console().print("None: nobody was to be told of anything yet.")
    else:
        table([_row(delivery, attempts) for delivery in found], spare="made")


def _row(delivery: Delivery, attempts: list[Attempt]) -> dict[str, str]:
    own = [attempt for attempt in attempts if attempt.delivery_id == delivery.id]
    return {
        "delivery": delivery.id,
        "state": delivery.state.value,
        "channel": delivery.channel,
        "made": ago(delivery.created_at),
        "attempts": str(len(own)),
        "last": (own[-1].error or f"{own[-1].status or 'taken'}") if own else "",
    }


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
    told = _triggered(wiring, event)
    if json_:
        print_json(told)
    elif told["deliveries"]:
        count = len(told["deliveries"])
        pending = "1 delivery is" if count == 1 else f"{count} deliveries are"
        console().print(f"{told['id']}: {pending} pending.", soft_wrap=True)
    else:
        nobody = f"{told['id']} is recorded, but no subscription wants {event}."
        console().print(nobody, soft_wrap=True)


def _triggered(wiring: Wiring, type_: EventType) -> dict[str, Any]:
    account = acting_account(wiring)
    with wiring.db.write() as tx:
        made = record_sample(tx, account.id, type_, wiring.clock())
        found = store.deliveries.page(tx, account.id, 1000, event_id=made.id)
    return {"id": made.id, "type": type_.value, "deliveries": [d.id for d in found]}
