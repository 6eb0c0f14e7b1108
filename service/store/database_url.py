"""The parser of ``CLIPBELL_DATABASE_URL``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from service.errors import SettingsError

FORMS = "sqlite:////absolute/path.db or postgresql://user@host/name"
#: Schemes of hosting platforms and of other drivers; ours is always the same.
_POSTGRES = re.compile(r"(postgres|postgresql|pgsql)(\+\w+)?")
_SQLITE = re.compile(r"sqlite3?(\+\w+)?")


def parse_database_url(text: str) -> Path | URL:
    """
    SQLite's file, or PostgreSQL's address with our driver.

    Raises:
        SettingsError: it is neither; the message is one line with the right form.
    """
    text = text.strip()
    if text[:1] in ("'", '"'):
        raise _refusal("leave out the quotes around it")
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise _refusal(f"must look like {FORMS}")
    if _POSTGRES.fullmatch(scheme.lower()):
        return _postgres_url(rest)
    if not _SQLITE.fullmatch(scheme.lower()):
        raise _refusal(f"{scheme}:// is not supported; it must look like {FORMS}")
    name = rest.removeprefix("/")
    if name in ("", ":memory:"):
        raise _refusal(
            "processes cannot share a database in memory; name a file: sqlite:///clipbell.db"
        )
    if not rest.startswith("/"):
        raise _refusal(f"three slashes stand before a file's name: sqlite:///{name}")
    if "?" in name:
        fix = "leave it out; a question mark in a file's name is written %3F"
        raise _refusal(f"takes no options such as ?{name.partition('?')[2]}: {fix}")
    if name.startswith("~"):
        raise _refusal("~ is not your home folder here; write the whole path: sqlite:////home/…")
    return Path(os.fsdecode(unquote_to_bytes(name)))


def without_secret_options(url: URL) -> URL:
    """The address without the options that are secret: libpq takes a password as one, too."""
    return url.difference_update_query(["password", "sslpassword"])


def _refusal(message: str) -> SettingsError:
    return SettingsError(f"CLIPBELL_DATABASE_URL: {message}")


def _postgres_url(rest: str) -> URL:
    try:
        url = make_url(f"postgresql+psycopg://{rest}")
    except ArgumentError:
        raise _refusal(f"must look like {FORMS}") from None
    except ValueError:
        hosts = "postgresql://user@/name?host=one:5432&host=two:5432"
        raise _refusal(f"the port is not a number; several hosts are written {hosts}") from None
    if "@" in (url.host or ""):
        raise _refusal("an @ in the password is written %40")
    return url
