"""`secrets`: rotating the keys that sign our URLs and seal what is stored."""

from __future__ import annotations

import typer

from service.cli.output import JsonOption, console, print_json
from service.errors import SettingsError
from service.ops.key_rotation import add_key
from service.settings import load_settings

app = typer.Typer(help="The keys that sign our URLs and seal secrets.")


@app.callback()
def _group() -> None:
    """With a callback, one verb alone is still called by its name."""


@app.command()
def rotate(json_: bool = JsonOption) -> None:
    """A new secret key. It signs and seals once web and worker are restarted."""
    settings = load_settings()
    if settings.secret_keys:
        raise SettingsError(
            "CLIPBELL_SECRET_KEYS is set: put a new key (`openssl rand -base64 32`) before the "
            "others there, then restart `clipbell serve`, and after it `clipbell worker`"
        )
    count = add_key(settings)
    if json_:
        print_json({"keys": count})
        return
    out = console()
    out.print(f"{count} keys, the newest first; the old ones still verify and open.")
    out.print("Restart `clipbell serve` now (SIGHUP will do), and after it `clipbell worker`.")
    file, ends = settings.secret_keys_file, "links that they signed (CLIPBELL_LINK_TTL)"
    out.print(f"Old keys stay in {file}: remove them after the last {ends}.", soft_wrap=True)
