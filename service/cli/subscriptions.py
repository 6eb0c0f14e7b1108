"""`subscriptions`, `recover`: who is told of what, and what they have missed."""

from __future__ import annotations

from typing import Any

import typer

from service import store
from service.bootstrap import Wiring
from service.cli import completion
from service.cli.account_option import Acting, acting_account
from service.cli.output import JsonOption, console, open_wiring, print_json, table
from service.cli.parsing import moment
from service.deliveries import endpoint_health
from service.deliveries.redelivery import recover_since
from service.deliveries.subscriptions import (
    parse_key_value,
    parse_subscription,
    subscribe,
    target_of,
)
from service.deliveries.test_sends import (
    require_test,
    send_test,
    test_request_for,
)
from service.errors import InvalidInput, NotFound
from service.model import Subscription
from service.model.serializers import subscription_json
from service.signing import new_webhook_secret

app = typer.Typer(help="Who is told of what: add, list, test and more.")


@app.command(cls=Acting)
def add(
    channel: str = typer.Argument(help="slack, email, webhook … or channel:target in one."),
    target: str = typer.Argument(None, help="A URL or an address."),
    events: list[str] = typer.Option(
        [], "--event", "-e", help="Only these events.", autocompletion=completion.events
    ),
    models: list[str] = typer.Option(
        [], "--model", "-m", help="Only jobs of these models.", autocompletion=completion.models
    ),
    metadata: list[str] = typer.Option([], "--metadata", help="Only jobs with key=value."),
    format_: str = typer.Option(None, "--format", help="The body's form: standard, flat, apixo."),
    test_first: bool = typer.Option(False, "--test", help="Save only if a test message arrives."),
    json_: bool = JsonOption,
) -> None:
    """A new subscription; its secret is printed this once."""
    wiring = open_wiring()
    account = acting_account(wiring)
    if target is None:
        channel, _, target = channel.partition(":")
    body: dict[str, Any] = {"channel": channel, "target": target}
    body |= {"events": events, "models": models}
    body |= {"metadata": dict(map(_pair, metadata))} | ({"format": format_} if format_ else {})
    spec, secret = parse_subscription(wiring.channels, body, ""), new_webhook_secret()
    if test_first:
        db, now = wiring.db, wiring.clock()
        require_test(db, wiring.notifications, account.id, spec, secret, now)
    with wiring.db.write() as tx:
        encryptor, now = wiring.encryptor, wiring.clock()
        made, _ = subscribe(tx, encryptor, account.id, spec, now, secret=secret)
    if json_:
        print_json({**_as_json(wiring, made), "secret": secret})
        return
    out = console()
    out.print(f"{made.id}  {made.channel}  {spec.target}", soft_wrap=True)
    if channel == "webhook":
        out.print(f"Secret (shown only now): {secret}", soft_wrap=True)


def _pair(text: str) -> tuple[str, Any]:
    try:
        return parse_key_value(text)
    except InvalidInput as error:
        raise typer.BadParameter(error.faults[0].message, param_hint="--metadata") from None


def _as_json(wiring: Wiring, subscription: Subscription) -> dict[str, Any]:
    return subscription_json(subscription, target_of(wiring.encryptor, subscription))


@app.command("list", cls=Acting)
def list_all(json_: bool = JsonOption) -> None:
    """All subscriptions, oldest first."""
    wiring = open_wiring()
    account = acting_account(wiring)
    with wiring.db.read() as tx:
        found = store.subscriptions.all_of(tx, account.id)
    shown = [_as_json(wiring, subscription) for subscription in found]
    if json_:
        print_json(shown)
    elif not shown:
        console().print("None yet: try `clipbell subscriptions add slack https://…`.")
    else:
        table([_row(one) for one in shown], spare="events")


def _row(shown: dict[str, Any]) -> dict[str, str]:
    state = "on" if shown["enabled"] else f"off: {shown['disabled_reason'] or 'by hand'}"
    return {
        "subscription": shown["id"],
        "channel": shown["channel"],
        "target": shown["target"],
        "events": " ".join(shown["events"]),
        "state": state,
    }


@app.command(cls=Acting)
def test(subscription_id: str = typer.Argument(metavar="SUB"), json_: bool = JsonOption) -> None:
    """Send a labelled sample at once and say how it went."""
    wiring = open_wiring()
    test_request = test_request_for(
        wiring.notifications, _found(wiring, subscription_id), wiring.clock()
    )
    test_result = send_test(wiring.db, wiring.notifications, test_request, wiring.clock())
    if json_:
        print_json({"delivered": test_result.error is None, **vars(test_result)})
    else:
        how = f"failed: {test_result.error}" if test_result.error else "arrived"
        console().print(f"{how} ({test_result.milliseconds} ms)", soft_wrap=True)
    if test_result.error:
        raise typer.Exit(1)


@app.command(cls=Acting)
def enable(subscription_id: str = typer.Argument(metavar="SUB"), json_: bool = JsonOption) -> None:
    """Switch it on again; `clipbell recover` sends what it has missed."""
    wiring = open_wiring()
    found = _found(wiring, subscription_id)
    with wiring.db.write() as tx:
        store.subscriptions.enable(tx, found.id)
    _tell(found.id, "on", json_)


@app.command(cls=Acting)
def disable(subscription_id: str = typer.Argument(metavar="SUB"), json_: bool = JsonOption) -> None:
    """Send it nothing until it is enabled."""
    wiring = open_wiring()
    found = _found(wiring, subscription_id)
    with wiring.db.write() as tx:
        store.subscriptions.change(tx, found.id, enabled=False)
    _tell(found.id, "off", json_)


@app.command(cls=Acting)
def remove(subscription_id: str = typer.Argument(metavar="SUB"), json_: bool = JsonOption) -> None:
    """End it; what is pending for it ends too."""
    wiring = open_wiring()
    found = _found(wiring, subscription_id)
    with wiring.db.write() as tx:
        endpoint_health.remove(tx, found.id, wiring.clock())
    _tell(found.id, "removed", json_)


def _tell(subscription_id: str, state: str, json_: bool) -> None:
    if json_:
        print_json({"id": subscription_id, "state": state})
    else:
        console().print(f"{subscription_id} is {state}.")


def _found(wiring: Wiring, subscription_id: str) -> Subscription:
    account = acting_account(wiring)
    with wiring.db.read() as tx:
        found = store.subscriptions.owned(tx, account.id, subscription_id)
    if found is None:
        raise NotFound(f"there is no {subscription_id}: see `clipbell subscriptions list`")
    return found


def recover(
    subscription_id: str = typer.Argument(metavar="SUB"),
    since: str = typer.Option(..., "--since", help="A time, or how long ago: 30min, 6h, 2d."),
    json_: bool = JsonOption,
) -> None:
    """Deliver what a subscription has missed since then."""
    wiring = open_wiring()
    begin = moment(since, wiring.clock())
    found = _found(wiring, subscription_id)
    count = recover_since(wiring.db, found, begin, wiring.clock)
    if json_:
        print_json({"id": found.id, "recovered": count})
    else:
        console().print(f"{count} deliveries to {found.id} are pending again.")
