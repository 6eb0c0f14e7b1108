"""The start of a process: it checks the settings, and waits for the current schema."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from service.bootstrap import build
from service.errors import SchemaError
from service.ops.doctor import pull_notice
from service.ops.logs import configure
from service.settings import Settings, misspelt
from service.storage.atomic import make_private

log = logging.getLogger(__name__)

#: The seconds that a process waits for a simultaneous `clipbell migrate`.
SCHEMA_SECONDS = 30.0


def make_ready(settings: Settings) -> Settings:
    """The settings, once they are valid and the schema is current. Raises SchemaError."""
    configure(settings.log_format)
    for sentence in misspelt():
        log.warning("%s", sentence)
    if notice := pull_notice(settings):
        log.warning("%s", notice)
    await_schema(settings)
    return settings


def await_schema(settings: Settings) -> None:
    """
    Check the settings, make the folder private, and wait until the schema is current.

    Raises:
        SettingsError: the settings are not valid.
        SchemaError: the schema is not current after `SCHEMA_SECONDS`.
    """
    make_private(settings.data_dir)
    wiring = build(settings)
    deadline = time.monotonic() + SCHEMA_SECONDS
    while time.monotonic() < deadline:
        with suppress(SchemaError):
            wiring.db.check()
            break
        time.sleep(0.25)
    else:
        wiring.db.check()
    wiring.close()
