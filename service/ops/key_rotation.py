"""
Rotating the secret keys: a new one signs and seals, the old ones still verify.

First the file, then the processes, and only then the rows: a process that still
runs with the old keys cannot open what the new one has sealed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from service import store
from service.errors import BadToken, SettingsError
from service.settings import Settings, make_secret_key
from service.signing import Encryptor
from service.storage.atomic import PRIVATE_MODE, atomic_write


def make_first_key(settings: Settings) -> None:
    """
    Put a key into ``DATA_DIR/secret_keys``, unless there is one there or in the settings.

    Raises:
        SettingsError: the file cannot be written.
    """
    path = settings.secret_keys_file
    if settings.secret_keys:
        return
    try:
        with _alone(settings.data_dir):
            if path.exists():
                return
            with atomic_write(path, PRIVATE_MODE) as file:
                file.write(make_secret_key().encode() + b"\n")
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}") from None


def add_key(settings: Settings) -> int:
    """
    Put a new key before the others in ``DATA_DIR/secret_keys``.

    The file is replaced atomically; only the owner that it had can read it.

    Returns:
        The number of keys in the file now.

    Raises:
        SettingsError: there is no such file, or it cannot be replaced.
    """
    path = settings.secret_keys_file
    try:
        with _alone(settings.data_dir):
            keys = [make_secret_key(), *settings.keys()]
            before = path.stat()
            with atomic_write(path, PRIVATE_MODE) as file:
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
                file.write("".join(f"{key}\n" for key in keys).encode())
    except OSError as error:
        raise SettingsError(f"cannot replace {path}: {error.strerror}") from None
    return len(keys)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock on the folder: other writers of keys wait until the block ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def reencrypt_all(tx: Connection, encryptor: Encryptor) -> tuple[int, int]:
    """
    Seal by the newest key what an older one has sealed.

    Returns:
        How many seals were renewed, and how many no key opens; those stay.
    """
    lost = 0

    def reencrypt(encrypted: str) -> str | None:
        nonlocal lost
        try:
            return encryptor.reencrypt(encrypted)
        except BadToken:
            lost += 1
            return None

    return store.encrypted_columns.replace(tx, reencrypt), lost
