"""
The verbs from another machine: with ``CLIPBELL_URL`` and ``CLIPBELL_KEY`` they call the API.

A verb has its options once, where it is written for the machine that the service runs on. Here
stands, for each that the API can serve, which request its options make.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import typer

from service.cli.output import console, print_json, table
from service.cli.parsing import as_typed, from_headers, from_pairs, metadata_from, moment
from service.errors import ClipbellError, OutboundError
from service.formatting import iso
from service.messages.content import plain
from service.model import utc_now
from service.outbound.client import Outbound, Response
from service.settings import Remote, remote_service

SECONDS = 60.0
ANSWER_BYTES = 16 * 1024 * 1024
#: The longest page of the API.
PAGE = 100
Options = dict[str, Any]


class Request(NamedTuple):
    """A request that a verb makes; `rows` are the columns of a list, by field."""

    method: str
    path: str
    query: Options = {}  # noqa: RUF012
    body: Options | None = None
    rows: tuple[str, ...] = ()


def over_api(verb: str, run: Callable[..., None]) -> Callable[..., None]:
    """The verb, which calls the API where the environment names a service."""

    @functools.wraps(run)
    def chosen(*args: Any, **options: Any) -> None:
        there = remote_service()
        context = options.get("context")
        if there is None or (context is not None and context.invoked_subcommand):
            run(*args, **options)
        elif verb in REQUESTS:
            _call(there, REQUESTS[verb](options), options)
        else:
            message = "works only where the service runs: unset CLIPBELL_URL"
            raise typer.BadParameter(f"`clipbell {verb}` {message}")

    return chosen


def _call(there: Remote, request: Request, options: Options) -> None:
    answer = _send(there, request)
    found = json.loads(answer.body) if answer.body else {}
    if request.rows:
        limit, rows = options.get("limit", PAGE), found["data"]
        while found.get("next_cursor") and len(rows) < limit:
            more = request.query | {"cursor": found["next_cursor"]}
            found = json.loads(_send(there, request._replace(query=more)).body)
            rows += found["data"]
        _print_rows(rows[:limit], request.rows, options["json_"])
    elif options["json_"]:
        print_json(found)
    else:
        _print_fields(found)


def _send(there: Remote, request: Request) -> Response:
    query = {name: value for name, value in request.query.items() if value not in (None, "")}
    url = f"{there.url}{request.path}" + (f"?{urlencode(query)}" if query else "")
    headers = {"x-api-key": there.key, "Accept": "application/json"}
    body = None
    if request.body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(request.body).encode()
    # The person at this machine chose the address.
    outbound = Outbound(("0.0.0.0/0", "::/0"))
    try:
        answer = outbound.call(
            request.method,
            url,
            headers=headers,
            body=body,
            seconds=SECONDS,
            max_bytes=ANSWER_BYTES,
        )
    except (OutboundError, ValueError) as error:
        raise ClipbellError(f"{error}: check CLIPBELL_URL") from None
    finally:
        outbound.close()
    if answer.status >= 400:
        raise ClipbellError(_refusal(answer))
    return answer


def _refusal(answer: Response) -> str:
    """What the service says is wrong, in the words of the command line."""
    try:
        problem = json.loads(answer.body)
        faults = [f"{as_typed(f['pointer'])}{f['message']}" for f in problem.get("errors", [])]
        said = "; ".join(faults) or str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the service answered {answer.status}: does CLIPBELL_URL lead to Clipbell?"
    return f"{said}: check CLIPBELL_KEY" if answer.status == 401 else said


def _print_rows(rows: Sequence[Options], names: Sequence[str], json_: bool) -> None:
    if json_:
        print_json(rows)
    elif rows:
        table([{name: _cell(_field(row, name)) for name in names} for row in rows])
    else:
        console().print("None.")


def _field(row: Options, name: str) -> Any:
    """A field, or with dots one within another."""
    found: Any = row
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_cell(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={_cell(one)}" for name, one in value.items())
    return "" if value is None else plain(str(value))


def _print_fields(found: Options) -> None:
    for name, value in found.items():
        if value not in (None, "", [], {}):
            console().print(f"{name.replace('_', ' '):<16} {_cell(value)}", soft_wrap=True)
    if not found:
        console().print("Done.")


def _id(options: Options, name: str) -> str:
    return quote(str(options[name]), safe="")


def _since(options: Options) -> str | None:
    given = options.get("since")
    return iso(moment(given, utc_now())) if given else None


def _list_jobs(options: Options) -> Request:
    names = ("state", "model", "q")
    query = {name: options[name] for name in names} | {"since": _since(options)}
    query["limit"] = min(options["limit"], PAGE)
    columns = ("id", "state", "model", "created_at", "input.prompt")
    return Request("GET", "/v1/jobs", query, rows=columns)


def _submit(options: Options) -> Request:
    if options["file"] or options["wait"]:
        raise typer.BadParameter("--file and --wait work only where the service runs")
    if not options["model"] or not options["prompt"]:
        raise typer.BadParameter("give a model and --prompt")
    body: Options = {"model": options["model"], "provider": options["provider"]}
    body["input"] = {"prompt": options["prompt"]} | from_pairs(options["model"], options["inputs"])
    if options["notify"]:
        body["notify"] = options["notify"]
    return Request("POST", "/v1/dry-runs" if options["dry_run"] else "/v1/jobs", body=body)


def _resolve(options: Options) -> Request:
    chosen = {name: options[name] for name in ("task", "resend", "fail") if options[name]}
    if len(chosen) != 1:
        raise typer.BadParameter("give one of --task ID, --resend and --fail")
    body = {"task_id": options["task"]} if options["task"] else chosen
    return Request("POST", f"/v1/jobs/{_id(options, 'job_id')}/resolve", body=body)


def _deliveries(options: Options) -> Request:
    query = {"state": options["state"], "job_id": options["job"]}
    query |= {"subscription_id": options["subscription"], "limit": min(options["limit"], PAGE)}
    columns = ("id", "state", "channel", "job_id", "created_at")
    return Request("GET", "/v1/deliveries", query, rows=columns)


def _subscription(options: Options) -> Options:
    """The fields of a subscription that are given."""
    names = {"name": "name", "target": "target", "format": "format_", "secret": "secret"}
    body = {field: options.get(option) for field, option in names.items()}
    body |= {"events": options["events"], "models": options["models"]}
    body |= {"metadata": metadata_from(options["metadata"] or [])}
    body |= {"headers": from_headers(options["headers"] or [])}
    return {field: value for field, value in body.items() if value}


def _add(options: Options) -> Request:
    channel, target = options["channel"], options["target"]
    if target is None:
        channel, _, target = channel.partition(":")
    body = _subscription(options | {"target": target}) | {"channel": channel}
    query = {"test": "true"} if options["test_first"] else {}
    return Request("POST", "/v1/subscriptions", query, body)


def _edit(options: Options) -> Request:
    empty: Options = {"name": "", "events": [], "models": [], "metadata": {}, "headers": {}}
    cleared = {word: empty[word] for word in options["clear"] if word in empty}
    body = cleared | _subscription(options)
    if not body:
        raise typer.BadParameter("say what to change; see --help")
    return Request("PATCH", f"/v1/subscriptions/{_id(options, 'subscription_id')}", body=body)


def _rotate(options: Options) -> Request:
    own = {"secret": options["secret"]} if options["secret"] else {}
    path = f"/v1/subscriptions/{_id(options, 'subscription_id')}/rotate-secret"
    return Request("POST", path, body={"revoke": options["revoke"]} | own)


def _recover(options: Options) -> Request:
    words = {name: str(options[name]).lower() for name in ("missing", "dry_run")}
    path = f"/v1/subscriptions/{_id(options, 'subscription_id')}/recover"
    return Request("POST", path, {"since": _since(options)} | words)


def _of(
    method: str, path: str, argument: str = "", body: Options | None = None
) -> Callable[[Options], Request]:
    """A request whose path holds one argument of the verb, for ``{}``."""

    def request(options: Options) -> Request:
        return Request(method, path.format(_id(options, argument) if argument else ""), body=body)

    return request


def _list(path: str, *columns: str) -> Callable[[Options], Request]:
    return lambda _: Request("GET", path, rows=columns)


_SUB = "/v1/subscriptions/{}"
REQUESTS: dict[str, Callable[[Options], Request]] = {
    "jobs": _list_jobs,
    "submit": _submit,
    "show": _of("GET", "/v1/jobs/{}", "job_id"),
    "cancel": _of("POST", "/v1/jobs/{}/cancel", "job_id"),
    "mute": _of("POST", "/v1/jobs/{}/mute", "job_id"),
    "resolve": _resolve,
    "delete": _of("DELETE", "/v1/jobs/{}", "job_id"),
    "models": _list("/v1/models", "id", "provider", "price.min", "price.max", "expected_seconds"),
    "providers": _list("/v1/providers", "id", "held", "open_tasks", "paused_seconds"),
    "hold": _of("POST", "/v1/providers/{}/hold", "name"),
    "resume": _of("POST", "/v1/providers/{}/resume", "name"),
    "deliveries": _deliveries,
    "deliveries show": _of("GET", "/v1/deliveries/{}", "delivery_id"),
    "resend": _of("POST", "/v1/deliveries/{}/resend", "delivery_id"),
    "subscriptions list": _list("/v1/subscriptions", "id", "channel", "name", "target", "enabled"),
    "subscriptions show": _of("GET", _SUB, "subscription_id"),
    "subscriptions add": _add,
    "subscriptions edit": _edit,
    "subscriptions test": _of("POST", f"{_SUB}/test", "subscription_id"),
    "subscriptions enable": _of("PATCH", _SUB, "subscription_id", {"enabled": True}),
    "subscriptions disable": _of("PATCH", _SUB, "subscription_id", {"enabled": False}),
    "subscriptions rotate-secret": _rotate,
    "subscriptions remove": _of("DELETE", _SUB, "subscription_id"),
    "recover": _recover,
    "callbacks": lambda o: Request(
        "GET",
        "/v1/callbacks/rejected" if o["rejected"] else "/v1/callbacks",
        {"limit": min(o["limit"], PAGE)} | ({} if o["rejected"] else {"job_id": o["job"]}),
        rows=("id", "reason", "remote", "received_at")
        if o["rejected"]
        else ("id", "job_id", "state", "note", "received_at"),
    ),
    "ledger": lambda o: Request(
        "GET",
        "/v1/ledger/unmatched" if o["unmatched"] else "/v1/ledger",
        {"since": _since(o)},
        rows=("provider", "task_id", "state", "created_at", "note")
        if o["unmatched"]
        else ("day", "provider", "jobs", "estimated", "reserved", "settled", "difference"),
    ),
    "replay": _of("POST", "/v1/callbacks/{}/replay", "callback_id"),
    "keys list": _list("/v1/keys", "id", "name", "hint", "scopes", "last_used", "revoked_at"),
    "keys create": lambda o: Request(
        "POST", "/v1/keys", body={"name": o["name"], "scopes": list(o["scopes"])}
    ),
    "keys revoke": _of("DELETE", "/v1/keys/{}", "key_id"),
}
