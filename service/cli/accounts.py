"""`accounts`: who may ask."""

from __future__ import annotations

import shlex

import typer

from service import store
from service.accounts import OWNER_SCOPES, create_account, create_key
from service.cli.help import Verb, new_group
from service.cli.here import open_here
from service.cli.output import JsonOption, print_json, print_list, say
from service.model import utc_now
from service.model.account_json import account_json
from service.ops.setup import owner_address

app = new_group(
    """
    Accounts, which own jobs, keys and subscriptions.

    Examples:
      clipbell accounts create acme --owner-email ops@example.com
      clipbell jobs --account acme
    """
)


@app.command(cls=Verb)
def create(
    name: str = typer.Argument(help="Its name, also for `--account`."),
    owner_email: str = typer.Option(
        None, "--owner-email", metavar="EMAIL", help="Email for alerts."
    ),
    json_: bool = JsonOption,
) -> None:
    """
    Create an account and its first key. An account sees only its own jobs.

    Examples:
      clipbell accounts create acme --owner-email ops@example.com
    """
    owner, opened = owner_address(owner_email), open_here()
    with opened.db.write() as tx:
        made = create_account(tx, opened.encryptor, name, owner, utc_now())
        key = create_key(tx, made.id, "first key", OWNER_SCOPES, utc_now())
    secret = opened.encryptor.decrypt(made.webhook_secret)
    if json_:
        print_json({**account_json(made), "api_key": key, "webhook_secret": secret})
        return
    say(f"{made.id}  {made.name}")
    say(f"API key (shown only now): {key}", style="bold")
    say(f"Webhook secret: {secret}")
    say(f"The key's scopes: {', '.join(OWNER_SCOPES)}. Sign in with it.")
    say(f"More keys: `clipbell keys create NAME --account {shlex.quote(name)}`.")


@app.command("list", cls=Verb)
def list_accounts(json_: bool = JsonOption) -> None:
    """
    List all accounts, oldest first.

    Examples:
      clipbell accounts list
    """
    with open_here().db.read() as tx:
        accounts = store.accounts.everyone(tx)
        keys_of = {account.id: store.accounts.keys(tx, account.id) for account in accounts}
    valid = {id_: sum(key.revoked_at is None for key in held) for id_, held in keys_of.items()}
    found = [{**account_json(one), "keys": valid[one.id]} for one in accounts]
    rows = [
        {
            "account": one.id,
            "name": one.name,
            "owner": one.owner_email or "",
            "keys": str(valid[one.id]),
        }
        for one in accounts
    ]
    print_list(found, rows, json_, none="None yet: run `clipbell init`.")
