"""`secrets`: rotating the keys that sign our URLs and seal what is stored."""

from __future__ import annotations

import typer

from service.cli.help import Verb, new_group
from service.cli.here import local_settings, open_here
from service.cli.output import JsonOption, print_json, say, table
from service.errors import SettingsError
from service.formatting import iso
from service.model import utc_now
from service.ops.key_rotation import add_key, reencrypt_all, revoke_key
from service.signing import key_ids

app = new_group(
    """
    The keys that sign URLs and encrypt secrets.

    Examples:
      clipbell secrets rotate
      clipbell secrets list
    """
)


@app.command(cls=Verb)
def rotate(json_: bool = JsonOption) -> None:
    """
    Add a new secret key. Restart web and worker to use it.

    Examples:
      clipbell secrets rotate
    """
    settings = local_settings()
    if settings.secret_keys:
        raise SettingsError(
            "CLIPBELL_SECRET_KEYS is set: put a new key (`openssl rand -base64 32`) before the "
            "others there, then restart `clipbell serve`, and after it `clipbell worker`"
        )
    count = add_key(settings, utc_now())
    if json_:
        print_json({"keys": count})
        return
    say(f"There are {count} keys now. The newest signs; the old ones still verify and decrypt.")
    say("Restart `clipbell serve` now (or send it SIGHUP), then `clipbell worker`.")
    say("Old keys end in 30 days; `clipbell secrets revoke` ends one at once.")


@app.command("list", cls=Verb)
def list_keys(json_: bool = JsonOption) -> None:
    """
    List the secret keys by their ids, newest first. The keys are never shown.

    Examples:
      clipbell secrets list
    """
    dated = local_settings().dated_keys()
    rows = [{"id": key_ids([key]), "ends_at": iso(end)} for key, end in dated]
    if json_:
        print_json(rows)
        return
    table([{"key": row["id"] or "", "ends": row["ends_at"] or "never"} for row in rows])


@app.command(cls=Verb)
def revoke(
    key_id: str = typer.Argument(metavar="KEY", help="An id of `clipbell secrets list`."),
    json_: bool = JsonOption,
) -> None:
    """
    End an old secret key at once, in running processes too.

    Links, sessions and callback URLs that it signed no longer work.

    Examples:
      clipbell secrets revoke 3f9a1c
    """
    settings = local_settings()
    if settings.secret_keys:
        raise SettingsError(
            "CLIPBELL_SECRET_KEYS is set: take the key out there, then restart `clipbell serve` "
            "and `clipbell worker`"
        )
    opened = open_here()
    with opened.db.write() as tx:
        # What only this key opens would be lost with it.
        _, lost = reencrypt_all(tx, opened.encryptor)
    count = revoke_key(settings, key_id)
    if json_:
        print_json({"keys": count, "unreadable": lost})
        return
    say(f"{key_id} is removed from {settings.secret_keys_file}.")
    say("No process accepts its signatures now. For processes older than the rotation,")
    say("restart `clipbell serve` (or send it SIGHUP), and after it `clipbell worker`.")
