"""`accounts` and `keys`: who may ask, and what for."""

from __future__ import annotations

import shlex

import typer

from service import store
from service.accounts import OWNER_SCOPES, create_account, create_key, key_in_force, revoke_key
from service.cli.account_option import Acting, acting_account, whole_id
from service.cli.output import JsonOption, ago, console, open_wiring, print_json, table
from service.model.account_json import account_json, key_json
from service.ops.setup import owner_address

app = typer.Typer(help="Accounts, which own jobs, keys and subscriptions.")
keys = typer.Typer(help="The API keys of an account.")


@app.command()
def create(
    name: str = typer.Argument(help="Its name, also for `--account`."),
    owner_email: str = typer.Option(None, "--owner-email", help="Email for alerts."),
    json_: bool = JsonOption,
) -> None:
    """A new account and its first key; it sees only its own."""
    owner = owner_address(owner_email)
    wiring = open_wiring()
    with wiring.db.write() as tx:
        made = create_account(tx, wiring.encryptor, name, owner, wiring.clock())
        key = create_key(tx, made.id, "first key", OWNER_SCOPES, wiring.clock())
    secret = wiring.encryptor.decrypt(made.webhook_secret)
    if json_:
        print_json({**account_json(made), "api_key": key, "webhook_secret": secret})
        return
    out = console()
    out.print(f"{made.id}  {made.name}", soft_wrap=True)
    out.print(f"API key (shown only now): {key}", style="bold", soft_wrap=True)
    out.print(f"Webhook secret: {secret}", soft_wrap=True)
    out.print(f"The key may {', '.join(OWNER_SCOPES)}; sign in with it.", soft_wrap=True)
    more = f"clipbell keys create NAME --account {shlex.quote(name)}"
    out.print(f"More keys: `{more}`.", soft_wrap=True)


@app.command("list")
def list_accounts(json_: bool = JsonOption) -> None:
    """List all accounts, oldest first."""
    wiring = open_wiring()
    with wiring.db.read() as tx:
        accounts = store.accounts.everyone(tx)
        keys_of = {account.id: store.accounts.keys(tx, account.id) for account in accounts}
    valid = {id_: sum(key.revoked_at is None for key in held) for id_, held in keys_of.items()}
    if json_:
        print_json([{**account_json(one), "keys": valid[one.id]} for one in accounts])
        return
    rows = [
        {
            "account": account.id,
            "name": account.name,
            "owner": account.owner_email or "",
            "keys": str(valid[account.id]),
        }
        for account in accounts
    ]
    if rows:
        table(rows)
    else:
        console().print("None yet: run `clipbell init`.")


@keys.command("create", cls=Acting)
def create_(
    name: str = typer.Argument("key", help="What it is for, such as ci or zapier."),
    scopes: list[str] = typer.Option(
        ["read", "submit"], "--scope", "-s", help="read, submit, admin or operator; repeatable."
    ),
    json_: bool = JsonOption,
) -> None:
    """Create a key. It is printed only once."""
    wiring = open_wiring()
    account = acting_account(wiring)
    wanted = tuple(dict.fromkeys(scope for given in scopes for scope in given.split(",")))
    with wiring.db.write() as tx:
        key = create_key(tx, account.id, name, wanted, wiring.clock())
        row = key_in_force(tx, key)
    if json_ and row:
        print_json({**key_json(row), "api_key": key})
        return
    console().print(f"API key (shown only now): {key}", style="bold", soft_wrap=True)
    console().print(f"It may {', '.join(wanted)} for {account.name}.", soft_wrap=True)


@keys.command("list", cls=Acting)
def list_keys(json_: bool = JsonOption) -> None:
    """List all keys, oldest first, with the revoked ones."""
    wiring = open_wiring()
    account = acting_account(wiring)
    with wiring.db.read() as tx:
        api_keys = store.accounts.keys(tx, account.id)
    if json_:
        print_json([key_json(key) for key in api_keys])
        return
    rows = [
        {
            "key": key.id,
            "name": key.name,
            "begins": f"{key.key_prefix}…",
            "state": "revoked" if key.revoked_at else "valid",
            "made": ago(key.created_at),
            "used": ago(key.last_used) if key.last_used else "never",
            "scopes": " ".join(key.scopes),
        }
        for key in api_keys
    ]
    if rows:
        table(rows, spare="made")
    else:
        console().print("None yet: try `clipbell keys create`.")


@keys.command(cls=Acting)
def revoke(key_id: str = typer.Argument(metavar="KEY"), json_: bool = JsonOption) -> None:
    """Revoke a key, and sign out every session that it opened."""
    wiring = open_wiring()
    account, wanted = acting_account(wiring), whole_id(wiring, key_id) or key_id
    with wiring.db.write() as tx:
        revoked = revoke_key(tx, account.id, wanted, wiring.clock())
    if json_:
        print_json(key_json(revoked))
    else:
        console().print(f"{revoked.id} ({revoked.name}) is revoked.", soft_wrap=True)
