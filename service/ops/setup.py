"""The steps of `clipbell init`: folder, secrets, schema, first account and its key."""

from __future__ import annotations

from typing import Any

from service import store
from service.accounts import SCOPES, create_account, create_key
from service.bootstrap import build
from service.channels.email_address import ascii_address
from service.errors import BadToken, SettingsError
from service.ops.key_rotation import make_first_key
from service.settings import Settings
from service.storage.atomic import make_private
from service.store.migration import migrate


def initialise(settings: Settings, owner_email: str | None = None) -> dict[str, Any]:
    """
    Create everything that a new service needs. Safe to run again.

    Returns:
        `account`: its id; `api_key`: None if the account existed before; `webhook_secret`.

    Raises:
        SettingsError: the mail address, the folder or a setting is not valid.
    """
    owner_email = owner_address(owner_email)
    make_folder(settings)
    made = make_first_key(settings)
    wiring = build(settings)
    migrate(wiring.db)
    now = wiring.clock()
    with wiring.db.write() as tx:
        # Of two simultaneous processes, only one creates the account.
        store.accounts.take_naming_turn(tx)
        account, key = store.accounts.first(tx), None
        if account is None:
            account = create_account(tx, wiring.encryptor, "default", owner_email, now)
            key = create_key(tx, account.id, "first key", SCOPES, now)
    wiring.close()
    try:
        secret = wiring.encryptor.decrypt(account.webhook_secret)
    except BadToken:
        if made:
            # The database came without its keys: with this one, the service would start.
            settings.secret_keys_file.unlink()
        raise
    return {"account": account.id, "api_key": key, "webhook_secret": secret}


def owner_address(given: str | None) -> str | None:
    """An owner's mail address in its stored form; None if none is given. Raises SettingsError."""
    try:
        return None if given is None else ascii_address(given)
    except ValueError as error:
        raise SettingsError(f"--owner-email: {error}") from None


def make_folder(settings: Settings) -> None:
    """Create DATA_DIR if it is missing, accessible only to its owner. Raises SettingsError."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_private(settings.data_dir)
    except OSError as error:
        raise SettingsError(
            f"cannot make {settings.data_dir}: {error.strerror}; "
            "set CLIPBELL_DATA_DIR to a folder that you may write to"
        ) from None
