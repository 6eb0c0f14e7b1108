"""`subscriptions` and `recover`: manage them, and deliver what one has missed."""

from __future__ import annotations

from typing import Any, cast

import typer

from service import store
from service.bootstrap import Wiring
from service.cli import completion
from service.cli.account_option import Acting, acting_account, whole_id
from service.cli.output import JsonOption, console, open_wiring, print_json, table
from service.cli.parsing import from_headers, metadata_from, moment
from service.deliveries import endpoint_health
from service.deliveries.redelivery import Recovery, recover_since
from service.deliveries.secrets import check_secret, revoke_old_secret, rotate_secret
from service.deliveries.subscription_spec import parse_subscription
from service.deliveries.subscriptions import parse_changes, shown_subscription, subscribe
from service.deliveries.test_sends import (
    require_test,
    send_test,
    test_request_for,
)
from service.errors import FieldErrors, NotFound
from service.formatting import format_date
from service.messages.content import plain
from service.model import Subscription
from service.model.delivery_json import SubscriptionJson
from service.signing import new_webhook_secret

app = typer.Typer(help="Subscriptions: add, list, test and more.")
HeaderOption = typer.Option(
    [], "--header", "-H", help="'Name: value' for the endpoint; repeatable, stored encrypted."
)
SecretOption = typer.Option(None, "--secret", help="A secret of your own: whsec_ and base64.")


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
        None, "--format", help="The body's format: standard, flat, apixo, openai."
    ),
    name: str = typer.Option("", "--name", help="Its name."),
    headers: list[str] = HeaderOption,
    secret: str = SecretOption,
    test_first: bool = typer.Option(False, "--test", help="Save only if a test message arrives."),
    json_: bool = JsonOption,
) -> None:
    """Add a subscription. Its secret is printed only once."""
    wiring = open_wiring()
    account = acting_account(wiring)
    if target is None:
        channel, _, target = channel.partition(":")
    body: dict[str, Any] = {"channel": channel, "target": target, "events": events}
    body |= {"models": models, "metadata": metadata_from(metadata)} | (
        {"format": format_} if format_ else {}
    )
    body |= {"name": name, "headers": from_headers(headers), "secret": secret}
    spec = parse_subscription(wiring.channels, body, "")
    signing, result = spec.secret or new_webhook_secret(), None
    if test_first:
        now = wiring.clock()
        result = require_test(wiring.db, wiring.notifications, account.id, spec, signing, now)
    with wiring.db.write() as tx:
        encryptor, now = wiring.encryptor, wiring.clock()
        added, _ = subscribe(tx, encryptor, account.id, spec, now, secret=signing)
    if json_:
        print_json({**shown_subscription(encryptor, added), "secret": signing})
        return
    if result is not None:
        status = f"{result.status}, " if result.status else ""
        console().print(f"The test arrived ({status}{result.milliseconds} ms).")
    console().print(f"{added.id}  {added.channel}  {spec.target}", soft_wrap=True)
    if channel == "webhook" and not secret:
        console().print(f"Secret (shown only now): {signing}", soft_wrap=True)


@app.command(cls=Acting)
def show(subscription_id: str = typer.Argument(metavar="SUB"), json_: bool = JsonOption) -> None:
    """Show one subscription."""
    wiring = open_wiring()
    _print_subscription(
        shown_subscription(wiring.encryptor, _owned(wiring, subscription_id)), json_
    )


def _print_subscription(shown: SubscriptionJson, json_: bool) -> None:
    if json_:
        print_json(shown)
        return
    for name, value in shown.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key}={one}" for key, one in value.items())
        elif isinstance(value, list):
            text = ", ".join(map(str, value))
        else:
            text = {True: "yes", False: "no", None: ""}.get(cast(Any, value), str(value))
        if text:
            console().print(f"{name.replace('_', ' '):<16} {plain(text)}", soft_wrap=True)


@app.command(cls=Acting)
def edit(
    subscription_id: str = typer.Argument(metavar="SUB"),
    name: str = typer.Option(None, "--name", help="Its name."),
    target: str = typer.Option(None, "--target", help="A URL or an address."),
    events: list[str] = typer.Option(
        None, "--event", "-e", help="Only these events.", autocompletion=completion.events
    ),
    models: list[str] = typer.Option(
        None, "--model", "-m", help="Only jobs of these models.", autocompletion=completion.models
    ),
    metadata: list[str] = typer.Option(None, "--metadata", help="Only jobs with key=value."),
    format_: str = typer.Option(None, "--format", help="The body's format: standard, flat, apixo."),
    headers: list[str] = HeaderOption,
    clear: list[str] = typer.Option(
        [], "--clear", help="Empty this: name, events, models, metadata or headers; repeatable."
    ),
    json_: bool = JsonOption,
) -> None:
    """Change the given fields; the rest stays the same."""
    wiring = open_wiring()
    before = _owned(wiring, subscription_id)
    empty = {"name": "", "events": [], "models": [], "metadata": {}, "headers": {}}
    if unknown := [word for word in clear if word not in empty]:
        message = f"{unknown[0]!r} is none of {', '.join(empty)}"
        raise typer.BadParameter(message, param_hint="--clear")
    given: dict[str, Any] = {"name": name, "target": target, "format": format_}
    given |= {"events": events or None, "models": models or None}
    given["metadata"] = metadata_from(metadata) if metadata else None
    if headers:
        stored = shown_subscription(wiring.encryptor, before)["headers"]
        given["headers"] = ({} if "headers" in clear else stored) | from_headers(headers)
    changes = {word: empty[word] for word in clear}
    changes |= {field: value for field, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("say what to change; see --help")
    columns = parse_changes(wiring.channels, wiring.encryptor, before, changes)
    with wiring.db.write() as tx:
        store.subscriptions.change(tx, before.id, **columns)
    _print_subscription(shown_subscription(wiring.encryptor, _owned(wiring, before.id)), json_)


@app.command("rotate-secret", cls=Acting)
def rotate(
    subscription_id: str = typer.Argument(metavar="SUB"),
    revoke: bool = typer.Option(False, "--revoke", help="Revoke the old one now, not after a day."),
    secret: str = SecretOption,
    json_: bool = JsonOption,
) -> None:
    """Replace the secret. The new one is printed once; both sign for a day."""
    wiring = open_wiring()
    subscription = _owned(wiring, subscription_id)
    errors = FieldErrors()
    own = check_secret(secret, errors)
    errors.raise_any()
    renew = revoke_old_secret if revoke else rotate_secret
    with wiring.db.write() as tx:
        signing = renew(tx, wiring.encryptor, subscription, wiring.clock(), own)
    changed = _owned(wiring, subscription.id)
    if json_:
        print_json({**shown_subscription(wiring.encryptor, changed), "secret": signing})
        return
    console().print(f"Secret (shown only now): {signing}", soft_wrap=True)
    if changed.previous_until is not None:
        until = format_date(changed.previous_until)
        console().print(f"The old one signs too until {until}.", soft_wrap=True)


@app.command("list", cls=Acting)
def list_all(json_: bool = JsonOption) -> None:
    """List subscriptions, oldest first."""
    wiring = open_wiring()
    account = acting_account(wiring)
    with wiring.db.read() as tx:
        subscriptions = store.subscriptions.all_of(tx, account.id)
    shown = [shown_subscription(wiring.encryptor, one) for one in subscriptions]
    if json_:
        print_json(shown)
        return
    rows = [
        {
            "subscription": one["id"],
            "channel": one["channel"],
            "name": one["name"],
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
    """Send a labelled sample now and show the result."""
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
    """Enable it again; `clipbell recover` sends what it has missed."""
    wiring = open_wiring()
    subscription = _owned(wiring, subscription_id)
    with wiring.db.write() as tx:
        store.subscriptions.enable(tx, subscription.id)
    _print_state(subscription.id, "on", json_)


@app.command(cls=Acting)
def disable(subscription_id: str = typer.Argument(metavar="SUB"), json_: bool = JsonOption) -> None:
    """Disable it: nothing is sent until it is enabled."""
    wiring = open_wiring()
    subscription = _owned(wiring, subscription_id)
    with wiring.db.write() as tx:
        store.subscriptions.change(tx, subscription.id, enabled=False)
    _print_state(subscription.id, "off", json_)


@app.command(cls=Acting)
def remove(subscription_id: str = typer.Argument(metavar="SUB"), json_: bool = JsonOption) -> None:
    """Remove it, with its pending deliveries."""
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
    subscription_id = whole_id(wiring, subscription_id) or subscription_id
    with wiring.db.read() as tx:
        subscription = store.subscriptions.owned(tx, account.id, subscription_id)
    if subscription is None:
        raise NotFound(f"there is no {subscription_id}: see `clipbell subscriptions list`")
    return subscription


def recover(
    subscription_id: str = typer.Argument(metavar="SUB"),
    since: str = typer.Option(..., "--since", help="A time, or how long ago: 30min, 6h, 2d."),
    missing: bool = typer.Option(
        False, "--missing", help="Also events it never had, such as those before it was made."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only count them."),
    json_: bool = JsonOption,
) -> None:
    """Send what failed since then again."""
    wiring = open_wiring()
    wanted = Recovery(moment(since, wiring.clock()), missing, dry_run)
    subscription = _owned(wiring, subscription_id)
    count = recover_since(wiring.db, subscription, wanted, wiring.clock)
    if json_:
        print_json({"id": subscription.id, "recovered": count, "dry_run": dry_run})
        return
    one = count == 1
    if dry_run:
        text = f"{count} {'delivery' if one else 'deliveries'} would be sent to {subscription.id}."
    else:
        text = f"{count} {'delivery' if one else 'deliveries'} to {subscription.id} will be sent."
    console().print(text, soft_wrap=True)
    if count and not dry_run:
        follow = f"clipbell deliveries --subscription {subscription.id}"
        console().print(f"See: `{follow}`.", soft_wrap=True)
