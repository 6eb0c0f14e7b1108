"""`secrets`: rotating the keys that sign our URLs and seal what is stored."""

from __future__ import annotations

import typer

from service.cli.output import JsonOption, console, emit, open_wiring
from service.errors import SettingsError
from service.rotation import add_key, reseal
from service.signing import Sealer

app = typer.Typer(help="The keys that sign our URLs and seal secrets.")


@app.callback()
def _group() -> None:
    """With a callback, one verb alone is still called by its name."""


@app.command()
def rotate(json_: bool = JsonOption) -> None:
    """A new secret key signs and seals from now on; the old ones still verify."""
    wiring = open_wiring()
    settings = wiring.settings
    if not settings.secret_keys:
        add_key(settings)
    keys = settings.keys()
    renewed, lost = reseal(wiring.db, Sealer(keys))
    if settings.secret_keys and not renewed:
        raise SettingsError(
            "CLIPBELL_SECRET_KEYS is set: put a new key (`openssl rand -base64 32`) before the "
            "others there, restart `clipbell serve`, then `clipbell worker`, and run this again"
        )
    if json_:
        emit({"keys": len(keys), "resealed": renewed, "unreadable": lost})
        return
    out = console()
    out.print(f"{len(keys)} keys, the newest first; {renewed} stored secrets are sealed by it.")
    if lost:
        out.print(f"{lost} stored secrets cannot be opened by any key: make them anew.")
    if not settings.secret_keys:
        out.print("Restart `clipbell serve` now, then `clipbell worker`: they have the old keys.")
        file, ends = settings.secret_keys_file, "links that they signed (CLIPBELL_LINK_TTL)"
        out.print(f"Old keys stay in {file}: remove them after the last {ends}.", soft_wrap=True)
