"""
Rotating the secret keys: a new one signs and seals, the old ones still verify.

First the file, then the processes, and only then the rows: whoever still runs
with the old keys could not open what the new one has sealed.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from service import store
from service.errors import BadToken, SettingsError
from service.settings import Settings, make_secret_key
from service.signing import Encryptor


def add_key(settings: Settings) -> int:
    """
    Put a new key before the others in ``DATA_DIR/secret_keys``; how many there are now.

    The file is there whole at every moment, with the mode and owner it had.

    Raises:
        SettingsError: there is no such file, or it cannot be replaced.
    """
    try:
        with _alone(settings.data_dir) as folder:
            keys = [make_secret_key(), *settings.keys()]
            _replace(settings.secret_keys_file, "".join(f"{key}\n" for key in keys))
            os.fsync(folder)
    except OSError as error:
        path = settings.secret_keys_file
        raise SettingsError(f"cannot replace {path}: {error.strerror}") from None
    return len(keys)


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """The folder, open; a second rotation waits for this one."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    before = path.stat()
    # Mode 0600 from its first byte.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


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
