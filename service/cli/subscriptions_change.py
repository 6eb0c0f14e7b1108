"""The verbs that change subscriptions, or try one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from service import store
from service.cli import completion
from service.cli.ask import Request, answer
from service.cli.here import acting_account, open_here, own_subscription
from service.cli.output import JsonOption, SubArgument, print_json, say
from service.cli.parsing import from_headers, metadata_from
from service.cli.subscriptions_show import ONE, get_subscription, print_subscription
from service.cli.wired import open_wiring
from service.deliveries import endpoint_health
from service.deliveries.secrets import check_secret, revoke_old_secret, rotate_secret
from service.deliveries.subscription_spec import parse_subscription
from service.deliveries.subscriptions import parse_changes, planned_subscription, shown_subscription
from service.deliveries.test_sends import require_test, send_test, test_request_for
from service.errors import FieldErrors
from service.model import utc_now
from service.model.delivery_json import SubscriptionJson

WHICH = "Which messages"
ENDPOINT = "The endpoint"
NameOption = typer.Option(None, "--name", help="A name for people, such as Orders.")
EventOption = typer.Option(
    [],
    "--event",
    "-e",
    metavar="EVENT",
    help="Only this event. Repeat it for several.",
    autocompletion=completion.events,
    rich_help_panel=WHICH,
)
ModelOption = typer.Option(
    [],
    "--model",
    "-m",
    metavar="MODEL",
    help="Only jobs of this model. Repeat it for several.",
    autocompletion=completion.models,
    rich_help_panel=WHICH,
)
MetadataOption = typer.Option(
    [],
    "--metadata",
    metavar="KEY=VALUE",
    help="Only jobs with this metadata. Repeat it for several.",
    rich_help_panel=WHICH,
)
FormatOption = typer.Option(
    None,
    "--format",
    help="The format of the body: standard, flat, apixo or openai.",
    rich_help_panel=ENDPOINT,
)
HeaderOption = typer.Option(
    [],
    "--header",
    "-H",
    metavar="'NAME: VALUE'",
    help="A header for the endpoint, stored encrypted. Repeat it for several.",
    rich_help_panel=ENDPOINT,
)
SecretOption = typer.Option(
    None,
    "--secret",
    help="Your own secret: whsec_ and base64. Default: a new one.",
    rich_help_panel=ENDPOINT,
)


def add(
    channel: str = typer.Argument(help="slack, email, webhook … or channel:target in one."),
    target: str = typer.Argument(None, help="A URL or an address."),
    name: str = NameOption,
    events: list[str] = EventOption,
    models: list[str] = ModelOption,
    metadata: list[str] = MetadataOption,
    format_: str = FormatOption,
    headers: list[str] = HeaderOption,
    secret: str = SecretOption,
    test_first: bool = typer.Option(False, "--test", help="Save it only if a test arrives."),
    json_: bool = JsonOption,
) -> None:
    """
    Add a subscription. Its secret is printed only once.

    Examples:
      clipbell subscriptions add slack https://hooks.slack.com/services/T0/B0/x
      clipbell subscriptions add webhook https://example.com/clips --test
      clipbell subscriptions add email me@example.com -e job.failed -e job.held
    """
    if target is None:
        channel, _, target = channel.partition(":")
    body = _fields(name, target, events, models, metadata, format_, headers)
    body |= {"channel": channel} | ({"secret": secret} if secret else {})
    request = Request("POST", "/v1/subscriptions", query={"test": test_first}, body=body)
    found = answer(request, lambda: _add(body, test_first))
    if json_:
        print_json(found)
        return
    if test_first:
        say("The test arrived.")
    say(f"{found['id']}  {found['channel']}  {found['target']}")
    if channel == "webhook" and not secret:
        say(f"Secret (shown only now): {found['secret']}")


def _add(body: dict[str, Any], test_first: bool) -> dict[str, Any]:
    wiring = open_wiring()
    with wiring.db.read() as tx:
        account_id = acting_account(tx).id
    spec = parse_subscription(wiring.channels, body, "")
    planned, secret = planned_subscription(wiring.encryptor, account_id, spec, wiring.clock())
    if test_first:
        require_test(wiring.db, wiring.notifications, planned, wiring.clock())
    with wiring.db.write() as tx:
        store.subscriptions.insert(tx, planned)
    return {**shown_subscription(wiring.encryptor, planned), "secret": secret}


def _fields(
    name: str | None,
    target: str | None,
    events: list[str],
    models: list[str],
    metadata: list[str],
    format_: str | None,
    headers: list[str],
) -> dict[str, Any]:
    """The fields that were given, as the API takes them."""
    given: dict[str, Any] = {"name": name, "target": target, "events": events, "models": models}
    given |= {"metadata": metadata_from(metadata), "format": format_}
    given |= {"headers": from_headers(headers)}
    return {field: value for field, value in given.items() if value not in (None, [], {})}


def edit(
    subscription_id: str = SubArgument,
    name: str = NameOption,
    target: str = typer.Option(None, "--target", help="A URL or an address."),
    events: list[str] = EventOption,
    models: list[str] = ModelOption,
    metadata: list[str] = MetadataOption,
    format_: str = FormatOption,
    headers: list[str] = HeaderOption,
    clear: list[str] = typer.Option(
        [],
        "--clear",
        metavar="FIELD",
        help="Empty this field: name, events, models, metadata or headers.",
    ),
    json_: bool = JsonOption,
) -> None:
    """
    Change the given fields. The rest stays the same.

    Examples:
      clipbell subscriptions edit sub_01a2b3c4 --target https://example.com/new
      clipbell subscriptions edit sub_01a2b3c4 --clear events -H 'X-Key: secret'
    """
    empty: dict[str, Any] = {"name": "", "events": [], "models": [], "metadata": {}, "headers": {}}
    if unknown := [word for word in clear if word not in empty]:
        message = f"{unknown[0]!r} is not one of {', '.join(empty)}"
        raise typer.BadParameter(message, param_hint="--clear")
    given = _fields(name, target, events, models, metadata, format_, headers)
    if "headers" in given and "headers" not in clear:
        given["headers"] = get_subscription(subscription_id)["headers"] | given["headers"]
    changes = {word: empty[word] for word in clear} | given
    if not changes:
        raise typer.BadParameter("say what to change, such as --target URL")
    print_subscription(_change(subscription_id, changes), json_)


def _change(subscription_id: str, changes: dict[str, Any]) -> SubscriptionJson:
    """Change these fields, here or over the API."""

    def here() -> SubscriptionJson:
        wiring = open_wiring()
        with wiring.db.write() as tx:
            before = own_subscription(tx, subscription_id)
            columns = parse_changes(wiring.channels, wiring.encryptor, before, changes)
            store.subscriptions.change(tx, before.id, **columns)
            return shown_subscription(wiring.encryptor, own_subscription(tx, before.id))

    found: SubscriptionJson = answer(Request("PATCH", ONE, subscription_id, body=changes), here)
    return found


def rotate(
    subscription_id: str = SubArgument,
    revoke: bool = typer.Option(False, "--revoke", help="End the old secret now, not in a day."),
    secret: str = SecretOption,
    json_: bool = JsonOption,
) -> None:
    """
    Replace the secret. For a day, the old one signs too.

    The new secret is printed only once.

    Examples:
      clipbell subscriptions rotate-secret sub_01a2b3c4
    """

    def here() -> dict[str, Any]:
        errors = FieldErrors()
        own = check_secret(secret, errors)
        errors.raise_any()
        opened, renew = open_here(), revoke_old_secret if revoke else rotate_secret
        with opened.db.write() as tx:
            before = own_subscription(tx, subscription_id)
            new = renew(tx, opened.encryptor, before, utc_now(), own)
            changed = shown_subscription(opened.encryptor, own_subscription(tx, before.id))
        return {**changed, "secret": new}

    body = {"revoke": revoke} | ({"secret": secret} if secret else {})
    request = Request("POST", f"{ONE}/rotate-secret", subscription_id, body=body)
    found = answer(request, here)
    if json_:
        print_json(found)
        return
    say(f"Secret (shown only now): {found['secret']}")
    if found["old_secret_until"]:
        say(f"The old secret signs too until {found['old_secret_until']}.")


def test(subscription_id: str = SubArgument, json_: bool = JsonOption) -> None:
    """
    Send a labelled sample now, and show the result.

    Examples:
      clipbell subscriptions test sub_01a2b3c4
    """

    def here() -> dict[str, Any]:
        wiring = open_wiring()
        with wiring.db.read() as tx:
            subscription = own_subscription(tx, subscription_id)
        wanted = test_request_for(wiring.notifications, subscription, wiring.clock())
        result = send_test(wiring.db, wiring.notifications, wanted, wiring.clock())
        return {"delivered": result.error is None, **asdict(result)}

    found = answer(Request("POST", f"{ONE}/test", subscription_id), here)
    if json_:
        print_json(found)
    else:
        result = "arrived" if found["delivered"] else f"failed: {found['error']}"
        say(f"The test {result} ({found['milliseconds']} ms).")
    if not found["delivered"]:
        raise typer.Exit(1)


def enable(subscription_id: str = SubArgument, json_: bool = JsonOption) -> None:
    """
    Enable it again. `clipbell recover` sends the missed messages.

    Examples:
      clipbell subscriptions enable sub_01a2b3c4
    """
    _print_state(_change(subscription_id, {"enabled": True})["id"], "on", json_)


def disable(subscription_id: str = SubArgument, json_: bool = JsonOption) -> None:
    """
    Disable it: nothing is sent until it is enabled.

    Examples:
      clipbell subscriptions disable sub_01a2b3c4
    """
    _print_state(_change(subscription_id, {"enabled": False})["id"], "off", json_)


def remove(subscription_id: str = SubArgument, json_: bool = JsonOption) -> None:
    """
    Remove it, with its pending deliveries.

    Examples:
      clipbell subscriptions remove sub_01a2b3c4
    """

    def here() -> str:
        with open_here().db.write() as tx:
            found = own_subscription(tx, subscription_id).id
            endpoint_health.remove(tx, found, utc_now())
        return found

    gone = answer(Request("DELETE", ONE, subscription_id), here)
    _print_state(gone or subscription_id, "removed", json_)


def _print_state(subscription_id: str, state: str, json_: bool) -> None:
    if json_:
        print_json({"id": subscription_id, "state": state})
    else:
        say(f"{subscription_id} is {state}.")
