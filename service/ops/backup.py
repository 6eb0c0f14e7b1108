"""A backup of a running service on SQLite: its database and its secret keys in one file."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import BinaryIO

from sqlalchemy.engine import URL

from service.errors import SettingsError
from service.settings import Settings
from service.settings.key_file import as_key_file
from service.storage.atomic import PRIVATE_MODE, atomic_write, part_file
from service.store.database import Database
from service.store.database_url import parse_database_url, without_secret_options

#: Names inside the file; unpacked into DATA_DIR they are where the service looks for them.
DATABASE_NAME = "clipbell.db"
KEYS_NAME = "secret_keys"


def write_backup(settings: Settings, path: Path, *, replace: bool = False) -> int:
    """
    Copy the database as it is now, with the secret keys, into one tar file of mode 0600.

    The service keeps running. Videos are not in it.

    Args:
        replace: whether it replaces an existing file, once it is complete.

    Returns:
        The file's size in bytes.

    Raises:
        SettingsError: the database is PostgreSQL, or the file exists; the message has the fix.
        DatabaseUnavailable: the database cannot be read, or the copy would be damaged.
        OSError: it cannot be written.
    """
    where = parse_database_url(settings.database_url)
    if isinstance(where, URL):
        public = without_secret_options(where)
        shown = public._replace(drivername="postgresql", password=None)
        command = f"pg_dump --format=custom --file={path} '{shown}'"
        advice = f"run {command}, and keep a copy of the secret keys"
        raise SettingsError(f"the rows are in PostgreSQL: {advice}")
    if path.exists() and not replace:
        raise SettingsError(f"{path} is there already: name another file, or add --replace")
    # With their ends: after a restore no old key works for longer.
    keys = as_key_file(settings.dated_keys())
    database = Database(settings.database_url)
    with part_file(path.parent, DATABASE_NAME, PRIVATE_MODE) as copy:
        database.copy_to(Path(copy.name))
        database.close()
        with atomic_write(path, PRIVATE_MODE) as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                made_at = os.fstat(copy.fileno()).st_mtime
                _add(archive, DATABASE_NAME, copy, made_at)
                _add(archive, KEYS_NAME, io.BytesIO(keys), made_at)
            return file.tell()


def _add(archive: tarfile.TarFile, name: str, content: BinaryIO, made_at: float) -> None:
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = PRIVATE_MODE, made_at
    member.size = content.seek(0, io.SEEK_END)
    content.seek(0)
    archive.addfile(member, content)
