"""`subscriptions` and `recover`: manage them, and deliver what one has missed."""

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
from service.model.serializers import SubscriptionJson, subscription_json
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
    format_: str = typer.Option(
        None, "--format", help="The body's form: standard, flat, apixo, openai."
    ),
    test_first: bool = typer.Option(False, "--test", help="Save only if a test message arrives."),
    json_: bool = JsonOption,
) -> None:
    """A new subscription; its secret is printed this once."""
    wiring = open_wiring()
    account = acting_account(wiring)
    if target is None:
        channel, _, target = channel.partition(":")
    try:
        pairs = dict(map(parse_key_value, metadata))
    except InvalidInput as error:
        raise typer.BadParameter(error.faults[0].message, param_hint="--metadata") from None
    body: dict[str, Any] = {"channel": channel, "target": target, "events": events}
    body |= {"models": models, "metadata": pairs} | ({"format": format_} if format_ else {})
    spec, secret = parse_subscription(wiring.channels, body, ""), new_webhook_secret()
    if test_first:
        now = wiring.clock()
        require_test(wiring.db, wiring.notifications, account.id, spec, secret, now)
    with wiring.db.write() as tx:
        encryptor, now = wiring.encryptor, wiring.clock()
        added, _ = subscribe(tx, encryptor, account.id, spec, now, secret=secret)
    if json_:
        print_json({**_as_json(wiring, added), "secret": secret})
        return
    console().print(f"{added.id}  {added.channel}  {spec.target}", soft_wrap=True)
    if channel == "webhook":
        console().print(f"Secret (shown only now): {secret}", soft_wrap=True)


def _as_json(wiring: Wiring, subscription: Subscription) -> SubscriptionJson:
    return subscription_json(subscription, target_of(wiring.encryptor, subscription))


@app.command("list", cls=Acting)
def list_all(json_: bool = JsonOption) -> None:
    """All subscriptions, oldest first."""
    wiring = open_wiring()
    account = acting_account(wiring)
    with wiring.db.read() as tx:
        subscriptions = store.subscriptions.all_of(tx, account.id)
    shown = [_as_json(wiring, subscription) for subscription in subscriptions]
    if json_:
        print_json(shown)
        return
    rows = [
        {
            "subscription": one["id"],
            "channel": one["channel"],
            "target": one["target"],
            "events": " ".join(one["events"]),
            "state": "on" if one["enabled"] else f"off: {one['disabled_reason'] or 'by hand'}",
        }
        for one in shown
    ]
    if rows:
        table(rows, spare="events")
    else:
        console().print("None yet: try `clipbell subscriptions add slack https://…`.")


@app.command(cls=Acting)
def test(subscription_id: str = typer.Argument(metavar="SUB"), json_: bool = JsonOption) -> None:
    """Send a labelled sample at once and say how it went."""
    wiring = open_wiring()
    subscription = _owned(wiring, subscription_id)
    test_request = test_request_for(wiring.notifications, subscription, wiring.clock())
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
    subscription = _owned(wiring, subscription_id)
    with wiring.db.write() as tx:
        store.subscriptions.enable(tx, subscription.id)
    _print_state(subscription.id, "on", json_)


@app.command(cls=Acting)
def disable(subscription_id: str = typer.Argument(metavar="SUB"), json_: bool = JsonOption) -> None:
    """Send it nothing until it is enabled."""
    wiring = open_wiring()
    subscription = _owned(wiring, subscription_id)
    with wiring.db.write() as tx:
        store.subscriptions.change(tx, subscription.id, enabled=False)
    _print_state(subscription.id, "off", json_)


@app.command(cls=Acting)
def remove(subscription_id: str = typer.Argument(metavar="SUB"), json_: bool = JsonOption) -> None:
    """End it; what is pending for it ends too."""
    wiring = open_wiring()
    subscription = _owned(wiring, subscription_id)
    with wiring.db.write() as tx:
        endpoint_health.remove(tx, subscription.id, wiring.clock())
    _print_state(subscription.id, "removed", json_)


def _print_state(subscription_id: str, state: str, json_: bool) -> None:
    if json_:
        print_json({"id": subscription_id, "state": state})
    else:
        console().print(f"{subscription_id} is {state}.")


def _owned(wiring: Wiring, subscription_id: str) -> Subscription:
    """The acting account's subscription of that id. Raises NotFound."""
    account = acting_account(wiring)
    with wiring.db.read() as tx:
        subscription = store.subscriptions.owned(tx, account.id, subscription_id)
    if subscription is None:
        raise NotFound(f"there is no {subscription_id}: see `clipbell subscriptions list`")
    return subscription


def recover(
    subscription_id: str = typer.Argument(metavar="SUB"),
    since: str = typer.Option(..., "--since", help="A time, or how long ago: 30min, 6h, 2d."),
    json_: bool = JsonOption,
) -> None:
    """Deliver what a subscription has missed since then."""
    wiring = open_wiring()
    begin = moment(since, wiring.clock())
    subscription = _owned(wiring, subscription_id)
    count = recover_since(wiring.db, subscription, begin, wiring.clock)
    if json_:
        print_json({"id": subscription.id, "recovered": count})
    else:
        console().print(f"{count} deliveries to {subscription.id} are pending again.")
