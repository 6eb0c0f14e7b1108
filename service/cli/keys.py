"""`keys`: the API keys of an account."""

from __future__ import annotations

import typer

from service import store
from service.accounts import KEY_SCOPES, create_key, key_of, revoke_key
from service.cli.ask import Request, answer
from service.cli.help import Acting, new_group
from service.cli.here import acting_account, open_here, whole_id
from service.cli.output import JsonOption, ago, print_json, print_list, say
from service.model import utc_now
from service.model.account_json import KeyJson, KeyWithSecretJson, key_json

app = new_group(
    """
    The API keys of an account.

    Examples:
      clipbell keys create zapier
      clipbell keys create ci --scope read --scope submit
      clipbell keys revoke key_01a2b3c4
    """
)


@app.command(cls=Acting)
def create(
    name: str = typer.Argument("key", help="Its purpose, such as ci or zapier."),
    scopes: list[str] = typer.Option(
        list(KEY_SCOPES),
        "--scope",
        "-s",
        metavar="SCOPE",
        help="read, submit, admin or operator. Repeat it for several.",
    ),
    json_: bool = JsonOption,
) -> None:
    """
    Create a key. It is printed only once.

    Examples:
      clipbell keys create zapier --scope read --scope submit --scope admin
    """
    wanted = tuple(dict.fromkeys(scope for given in scopes for scope in given.split(",")))

    def here() -> KeyWithSecretJson:
        with open_here().db.write() as tx:
            key = create_key(tx, acting_account(tx).id, name, wanted, utc_now())
            return {**key_json(key_of(tx, key)), "api_key": key}

    body = {"name": name, "scopes": list(wanted)}
    found = answer(Request("POST", "/v1/keys", body=body), here)
    if json_:
        print_json(found)
        return
    say(f"API key (shown only now): {found['api_key']}", style="bold")
    say(f"Its scopes: {', '.join(found['scopes'])}.")


@app.command("list", cls=Acting)
def list_keys(json_: bool = JsonOption) -> None:
    """
    List all keys, oldest first, with the revoked ones.

    Examples:
      clipbell keys list
    """

    def here() -> list[KeyJson]:
        with open_here().db.read() as tx:
            return [key_json(key) for key in store.accounts.keys(tx, acting_account(tx).id)]

    found: list[KeyJson] = answer(Request("GET", "/v1/keys", limit=0), here)
    rows = [
        {
            "key": key["id"],
            "name": key["name"],
            "begins": f"{key['hint']}…",
            "state": "revoked" if key["revoked_at"] else "valid",
            "created": ago(key["created_at"]),
            "used": ago(key["last_used"]) or "never",
            "scopes": " ".join(key["scopes"]),
        }
        for key in found
    ]
    print_list(found, rows, json_, none="None yet: try `clipbell keys create`.", spare=("created",))


@app.command(cls=Acting)
def revoke(
    key_id: str = typer.Argument(metavar="KEY", help="A key's id, or the start of it."),
    json_: bool = JsonOption,
) -> None:
    """
    Revoke a key, and sign out every session that it opened.

    Examples:
      clipbell keys revoke key_01a2b3c4
    """

    def here() -> KeyJson:
        with open_here().db.write() as tx:
            account_id = acting_account(tx).id
            return key_json(revoke_key(tx, account_id, whole_id(tx, key_id), utc_now()))

    found = answer(Request("DELETE", "/v1/keys/{}", key_id), here) or {"id": key_id}
    if json_:
        print_json(found)
    else:
        name = f" ({found['name']})" if "name" in found else ""
        say(f"{found['id']}{name} is revoked.")
