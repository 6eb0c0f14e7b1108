"""The whole service on this machine, for verbs that reach vendors, channels or files."""

from __future__ import annotations

from service.bootstrap import Wiring, build
from service.cli.here import check_environment
from service.settings import load_settings


def open_wiring() -> Wiring:
    """The wiring over a database that is at head. Raises SettingsError or SchemaError."""
    check_environment()
    wiring = build(load_settings())
    wiring.db.check()
    return wiring
