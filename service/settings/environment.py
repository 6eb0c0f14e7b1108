"""
Reading the settings: each is ``CLIPBELL_NAME`` or ``CLIPBELL_NAME_FILE``.

The only module that reads the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.errors import SettingsError, did_you_mean, got
from service.settings.fields import PREFIX, Settings

#: Our messages for pydantic's kinds of errors.
PLAIN_MESSAGES = {
    "float_parsing": "must be a number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:.0f}",
    "literal_error": "must be {expected}",
    "too_short": "must hold at least {min_length}",
    "dict_type": "must be a JSON object",
}
#: Variables of clients in deploy/'s recipes, which may run on the same machine.
CLIENTS = ("URL", "KEY", "API_KEY", "WEBHOOK_SECRET")
#: The variable in which Heroku, Render, Railway and similar platforms name the database.
PLATFORM_DATABASE = "DATABASE_URL"


def load_settings(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """
    The settings of this process.

    Args:
        environ: replaces the process's environment.
        given: values that override the environment, by field name.

    Raises:
        SettingsError: one line that names every bad setting and its allowed values.
    """
    found = _read(os.environ if environ is None else environ)
    try:
        return Settings.model_validate(found | given)
    except ValidationError as error:
        raise SettingsError("; ".join(map(_message, error.errors()))) from None


def _message(error: ErrorDetails) -> str:
    """A setting's name, its fault, and its value if it cannot be secret."""
    name = f"{PREFIX}{str(error['loc'][0]).upper()}: " if error["loc"] else ""
    name += "".join(f"{place}: " for place in error["loc"][1:] if isinstance(place, str))
    plain = PLAIN_MESSAGES.get(error["type"])
    if plain is None:
        return name + error["msg"].removeprefix("Value error, ")
    return name + plain.format(**error.get("ctx", {})) + got(error["input"])


def misspelt(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence with the nearest setting for each variable that looks like one but is not."""
    given = os.environ if environ is None else environ
    settings = [name.upper() for name in Settings.model_fields]
    known = [*settings, *(f"{name}_FILE" for name in settings)]
    ours = [name.removeprefix(PREFIX) for name in sorted(given) if name.startswith(PREFIX)]
    unknown = [name for name in ours if name not in (*known, *CLIENTS)]
    return [f"{PREFIX}{n} is no setting{did_you_mean(n, known, PREFIX)}" for n in unknown]


class Remote(NamedTuple):
    """A service on another machine: its address, without a slash at the end, and a key."""

    url: str
    key: str


def remote_service() -> Remote | None:
    """
    The service in ``CLIPBELL_URL`` and ``CLIPBELL_KEY``; None if they are not set.

    Raises:
        SettingsError: only the address is set, or one of them is not valid.
    """
    url, key = remote_url(), os.environ.get(f"{PREFIX}KEY", "").strip()
    if url and not key:
        raise SettingsError("CLIPBELL_URL is set: set CLIPBELL_KEY to an API key of that service")
    if url and not re.fullmatch("[!-~]+", key):
        raise SettingsError("CLIPBELL_KEY is no API key: it has a blank, a line end or such in it")
    if "?" in url or "#" in url:
        raise SettingsError("CLIPBELL_URL must be like https://HOST/PATH, without ? and #")
    return Remote(url, key) if url else None


def remote_url() -> str:
    """``CLIPBELL_URL`` without a slash, or the API's own ``/v1``, at its end; blank if not set."""
    url = os.environ.get(f"{PREFIX}URL", "").strip().rstrip("/")
    return url.removesuffix("/v1").rstrip("/")


def inherits_sockets() -> bool:
    """Whether systemd, or the previous `serve` process, has opened our sockets."""
    return os.environ.get("LISTEN_PID") == str(os.getpid()) or "GUNICORN_FD" in os.environ


def child_environ(given: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child process: of our settings, only the `given` ones."""
    names = [n for n in os.environ if not n.startswith(PREFIX) and n != PLATFORM_DATABASE]
    return {name: os.environ[name] for name in names} | _as_environ(given)


def environ_with(given: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child process of the service, with the `given` settings added."""
    kept = {name: value for name, value in os.environ.items() if name != f"{PREFIX}URL"}
    return kept | _as_environ(given)


def _as_environ(given: Mapping[str, str]) -> dict[str, str]:
    return {PREFIX + name.upper(): value for name, value in given.items()}


def _read(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that are set; blank ones, as in compose files, are ignored."""
    found = {name: _text_of(PREFIX + name.upper(), environ) for name in Settings.model_fields}
    found["database_url"] = found["database_url"] or environ.get(PLATFORM_DATABASE, "").strip()
    return {name: text for name, text in found.items() if text}


def _text_of(name: str, environ: Mapping[str, str]) -> str:
    """
    ``NAME``, or the content of the file in ``NAME_FILE``, without blanks around it.

    Raises:
        SettingsError: both are set, or the file cannot be read.
    """
    text, path = environ.get(name, ""), environ.get(f"{name}_FILE")
    if text and path:
        raise SettingsError(f"{name} and {name}_FILE are both set: keep one")
    try:
        if path:
            # Some editors put a mark before UTF-8.
            return Path(path).read_text("utf-8-sig").strip()
        # Any name may be a folder's.
        return text if name == f"{PREFIX}DATA_DIR" else text.strip()
    except OSError as error:
        raise SettingsError(f"{name}_FILE names {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{name}_FILE names {path}: it must be UTF-8 text") from None
