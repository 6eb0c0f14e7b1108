"""`secrets`: rotating the keys that sign our URLs and seal what is stored."""

from __future__ import annotations

from datetime import datetime

import typer

from service.cli.output import JsonOption, console, open_wiring, print_json, table
from service.errors import SettingsError
from service.formatting import iso
from service.model import utc_now
from service.ops.key_rotation import add_key, reencrypt_all, revoke_key
from service.settings import load_settings
from service.signing import key_ids

app = typer.Typer(help="The keys that sign URLs and encrypt secrets.")


@app.command()
def rotate(json_: bool = JsonOption) -> None:
    """Add a new secret key. Restart web and worker to use it."""
    settings = load_settings()
    if settings.secret_keys:
        raise SettingsError(
            "CLIPBELL_SECRET_KEYS is set: put a new key (`openssl rand -base64 32`) before the "
            "others there, then restart `clipbell serve`, and after it `clipbell worker`"
        )
    count = add_key(settings, utc_now())
    if json_:
        print_json({"keys": count})
        return
    out = console()
    out.print(f"{count} keys, the newest first; the old ones still verify and open.")
    out.print("Restart `clipbell serve` now (SIGHUP will do), and after it `clipbell worker`.")
    out.print(
        "Old keys end in 30 days; `clipbell secrets revoke` ends one at once.", soft_wrap=True
    )


@app.command("list")
def list_keys(json_: bool = JsonOption) -> None:
    """The secret keys by their ids, newest first; the keys themselves are never shown."""
    settings = load_settings()
    dated: dict[str, datetime | None] = dict.fromkeys(settings.keys())
    if not settings.secret_keys:
        dated = dict(settings.dated_keys())
    rows = [{"id": key_ids([key]), "ends_at": iso(end)} for key, end in dated.items()]
    if json_:
        print_json(rows)
        return
    table([{"key": row["id"] or "", "ends": row["ends_at"] or "never"} for row in rows])


@app.command()
def revoke(key_id: str = typer.Argument(metavar="KEY"), json_: bool = JsonOption) -> None:
    """End an old secret key at once, in running processes too; what it signed is worthless."""
    settings = load_settings()
    if settings.secret_keys:
        raise SettingsError(
            "CLIPBELL_SECRET_KEYS is set: take the key out there, then restart `clipbell serve` "
            "and `clipbell worker`"
        )
    wiring = open_wiring()
    with wiring.db.write() as tx:
        # What only this key opens would be lost with it.
        _, lost = reencrypt_all(tx, wiring.encryptor)
    count = revoke_key(settings, key_id)
    if json_:
        print_json({"keys": count, "unreadable": lost})
        return
    out = console()
    out.print(f"{key_id} is out of {settings.secret_keys_file}.", soft_wrap=True)
    out.print("No process accepts what it signed. Those that were started before the rotation:")
    out.print("restart `clipbell serve` (SIGHUP will do), and after it `clipbell worker`.")
