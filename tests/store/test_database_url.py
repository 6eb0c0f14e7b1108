"""``CLIPBELL_DATABASE_URL`` as people write it: taken as meant, or refused with the right form."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import SettingsError
from service.store.database_url import parse_database_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///clipbell.db", "clipbell.db"),
        ("sqlite:///./data/clipbell.db", "data/clipbell.db"),
        ("sqlite:////srv/clipbell.db", "/srv/clipbell.db"),
        ("sqlite3:////srv/clipbell.db", "/srv/clipbell.db"),
        ("SQLite:////srv/clipbell.db", "/srv/clipbell.db"),
        ("sqlite+pysqlite:////srv/clipbell.db", "/srv/clipbell.db"),
        ("sqlite+aiosqlite:////srv/clipbell.db", "/srv/clipbell.db"),
        ("  sqlite:////srv/clipbell.db\n", "/srv/clipbell.db"),
        ("sqlite:////srv/hash#1/clip.db", "/srv/hash#1/clip.db"),
        ("sqlite:////srv/two%20words/clip.db", "/srv/two words/clip.db"),
        ("sqlite:////srv/two words/clip.db", "/srv/two words/clip.db"),
        ("sqlite:////srv/what%3F/100%25/clip.db", "/srv/what?/100%/clip.db"),
        ("sqlite:////srv/100%/clip.db", "/srv/100%/clip.db"),
        ("sqlite:////srv/視頻/clip.db", "/srv/視頻/clip.db"),
    ],
)
def test_sqlite(url: str, expected: str) -> None:
    """A path is a path, whatever it holds."""
    assert Path(expected) == parse_database_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:pw@db:5432/clips",
        "postgresql://me:pw@db:5432/clips",
        "postgresql+psycopg://me:pw@db:5432/clips",
        "postgresql+psycopg2://me:pw@db:5432/clips",
        "postgresql+asyncpg://me:pw@db:5432/clips",
        "POSTGRES://me:pw@db:5432/clips",
        "pgsql://me:pw@db:5432/clips",
    ],
)
def test_postgres(url: str) -> None:
    """What platforms hand out and other programs take leads to the same place, by our driver."""
    assert "postgresql+psycopg://me:***@db:5432/clips" == str(parse_database_url(url))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must look like sqlite:////"),
        ("/srv/clipbell.db", "must look like sqlite:////"),
        ("sqlite:/srv/clipbell.db", "must look like sqlite:////"),
        ("jdbc:postgresql://db/clips", "jdbc:postgresql:// is not supported"),
        ('"postgres://me@db/clips"', "leave out the quotes"),
        ("mysql://me@db/clips", "mysql:// is not supported"),
        ("'postgres://me@db/clips'", "leave out the quotes"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite://:memory:", "in memory"),
        ("sqlite://data/clipbell.db", "sqlite:///data/clipbell.db"),
        ("sqlite:///clip.db?timeout=30", "takes no options such as ?timeout=30"),
        ("sqlite:///file:clip.db?mode=ro&uri=true", "takes no options"),
        ("sqlite:///~/clip.db", "write the whole path"),
        ("postgres://me:p@ss@db/clips", "%40"),
        ("postgres://me@db:$PORT/clips", "port is not a number"),
        ("postgres://me@one:5432,two:5432/clips", "host=one:5432&host=two:5432"),
    ],
)
def test_refusals(url: str, words: str) -> None:
    """One line with the setting's name and the right form, and never a password."""
    with pytest.raises(SettingsError) as caught:
        parse_database_url(url)
    (line,) = str(caught.value).splitlines()

    assert line.startswith("CLIPBELL_DATABASE_URL: ")
    assert words in line
    assert "p@ss" not in line
