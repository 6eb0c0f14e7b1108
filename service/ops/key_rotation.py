"""
Rotation of the secret keys: the new one signs and encrypts, the old ones still verify.

The file changes first, then the processes, and then the rows: a process that still
runs with the old keys cannot decrypt values of the new key.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from service import store
from service.errors import BadToken, Conflict, NotFound, SettingsError
from service.settings import Settings, make_secret_key
from service.settings.key_file import as_key_file
from service.signing import Encryptor, key_ids
from service.storage.atomic import PRIVATE_MODE, atomic_write

#: The time for which an old key still verifies: the lifetime of callback URLs.
OLD_KEY_LIFE = timedelta(days=30)
Keys = list[tuple[str, datetime | None]]


def make_first_key(settings: Settings) -> bool:
    """
    Create the first key in ``DATA_DIR/secret_keys``, unless the file or the settings have one.

    Returns:
        Whether this call created it.

    Raises:
        SettingsError: the file cannot be written.
    """
    path = settings.secret_keys_file
    if settings.secret_keys:
        return False
    try:
        with _alone(settings.data_dir):
            if path.exists():
                return False
            with atomic_write(path, PRIVATE_MODE) as file:
                file.write(make_secret_key().encode() + b"\n")
            return True
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}") from None


def add_key(settings: Settings, now: datetime) -> int:
    """
    Put a new key before the others in ``DATA_DIR/secret_keys``; these expire after `OLD_KEY_LIFE`.

    The file is replaced atomically; only its previous owner can read it. Expired keys
    are left out.

    Returns:
        The number of keys in the file now.

    Raises:
        SettingsError: there is no such file, or it cannot be replaced.
    """

    def with_another(keys: Keys) -> Keys:
        ends_at = now.replace(microsecond=0) + OLD_KEY_LIFE
        old = [(key, ended or ends_at) for key, ended in keys if ended is None or ended > now]
        return [(make_secret_key(), None), *old]

    return len(_replace_keys(settings, with_another))


def revoke_key(settings: Settings, key_id: str) -> int:
    """
    Remove the old key with this id from the file, at once.

    Returns:
        The number of remaining keys.

    Raises:
        NotFound: no key has this id.
        Conflict: it is the newest one, which signs.
        SettingsError: as for `add_key`.
    """

    def without(keys: Keys) -> Keys:
        ids = [key_ids([key]) for key, _ in keys]
        if key_id not in ids:
            raise NotFound(f"there is no secret key {key_id[:80]}; there are {', '.join(ids)}")
        if ids.index(key_id) == 0:
            raise Conflict(f"{key_id} is the newest key: run `clipbell secrets rotate` first")
        return [one for one, id_ in zip(keys, ids, strict=True) if id_ != key_id]

    return len(_replace_keys(settings, without))


def _replace_keys(settings: Settings, change: Callable[[Keys], Keys]) -> Keys:
    path = settings.secret_keys_file
    try:
        with _alone(settings.data_dir):
            keys = change(settings.dated_keys())
            before = path.stat()
            with atomic_write(path, PRIVATE_MODE) as file:
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
                file.write(as_key_file(keys))
    except OSError as error:
        raise SettingsError(f"cannot replace {path}: {error.strerror}") from None
    return keys


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
    Encrypt with the newest key all values that an older key has encrypted.

    Returns:
        The number of values encrypted again, and of values that no key decrypts; those stay.
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
