"""`trigger`: send a sample event."""

from __future__ import annotations

import typer

from service.cli.ask import Request, answer
from service.cli.here import acting_account, open_here
from service.cli.output import JsonOption, print_json, say
from service.events.record import trigger_sample
from service.model import EventType, utc_now
from service.model.delivery_json import TriggeredJson


def trigger(
    event: EventType = typer.Argument(metavar="EVENT", help="The event to simulate."),
    json_: bool = JsonOption,
) -> None:
    """
    Send a sample event to the subscriptions that want it.

    It is labelled as a sample, and the worker delivers it like a real one.

    Examples:
      clipbell trigger job.succeeded
    """

    def here() -> TriggeredJson:
        with open_here().db.write() as tx:
            return trigger_sample(tx, acting_account(tx).id, event, utc_now())

    found = answer(Request("POST", "/v1/events/samples", body={"type": event.value}), here)
    if json_:
        print_json(found)
        return
    count = len(found["deliveries"])
    if count:
        pending = "1 delivery is" if count == 1 else f"{count} deliveries are"
        say(f"{found['id']}: {pending} pending.")
        say("See: `clipbell deliveries`.")
    else:
        say(f"{found['id']} is recorded, but no subscription wants {event}.")
        say("See: `clipbell subscriptions list`.")
