"""The effective settings for an operator: grouped, as text, with secrets hidden."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pydantic import SecretStr
from sqlalchemy.engine import URL

from service.catalogue.models import VENDORS
from service.formatting import format_duration, format_size
from service.settings import PREFIX, Settings, load_settings
from service.store.database_url import without_secret_options

_VENDORS = [name for name in Settings.model_fields if name.partition("_")[0] in VENDORS]
GROUPS = {
    "This service": (
        *("public_url", "pull", "data_dir", "database_url", "secret_keys", "trusted_proxies"),
        *("engine", "broker_url", "log_format"),
    ),
    "Providers": (
        *(
            "providers",
            *(n for v in VENDORS for n in Settings.model_fields if n.startswith(f"{v}_")),
        ),
        *("submit_timeout", "sync_timeout", "sync_waiters", "poll_after"),
        *("poll_every", "confirm_callbacks", "result_hosts"),
    ),
    "Money": ("budget", "job_budget", "prices"),
    "Videos": (
        *("storage_url", "archive_wait", "archive_max_bytes", "retention_days", "quota_bytes"),
        *("link_ttl", "accel"),
    ),
    "Messages": ("smtp_url", "mail_from", "slack_bot_token", "retry_schedule", "allowed_networks"),
}
#: The text for settings whose default depends on other things.
UNSET = {
    "budget": "no limit",
    "job_budget": "no limit",
    "quota_bytes": "no limit",
    "retention_days": "kept forever",
    "sync_timeout": "three times the model's expected time",
    "poll_after": "the model's own",
    "poll_every": "the model's own",
    "providers": "all that have a key",
    "secret_keys": "those in DATA_DIR/secret_keys",
}
_SECONDS = (
    "submit_timeout",
    "sync_timeout",
    "poll_after",
    "poll_every",
    "archive_wait",
    "link_ttl",
)
_BYTES = ("archive_max_bytes", "quota_bytes")


class EffectiveSetting(NamedTuple):
    """One setting: its full name, its value as text, and whether it differs from the default."""

    name: str
    value: str
    changed: bool


def effective_settings(settings: Settings, database: URL) -> dict[str, list[EffectiveSetting]]:
    """
    All settings, by group.

    Args:
        database: the database's address; it is shown without a password.
    """
    address = without_secret_options(database).render_as_string(hide_password=True)
    default = Settings.model_fields["data_dir"].default
    plain = load_settings({}, data_dir=settings.data_dir).model_copy(update={"data_dir": default})
    return {
        title: [
            EffectiveSetting(
                PREFIX + name.upper(),
                address if name == "database_url" else in_words(name, getattr(settings, name)),
                getattr(settings, name) != getattr(plain, name),
            )
            for name in names
        ]
        for title, names in GROUPS.items()
    }


def in_words(name: str, value: Any) -> str:
    """A value for people, with units and defaults; a secret only as "set, hidden"."""
    if isinstance(value, SecretStr):
        return "set, hidden" if value.get_secret_value() else "not set"
    if name == "secret_keys" and value:
        return f"{len(value)} set, hidden"
    if value in (None, "", (), {}):
        return UNSET.get(name, "not set")
    if isinstance(value, bool | dict):
        return json.dumps(value)
    if isinstance(value, tuple):
        return ", ".join(_number(one) for one in value)
    if name in _SECONDS:
        return f"{_number(value)} s" + ("" if value < 120 else f" ({format_duration(value)})")
    return f"{_number(value)} ({format_size(value)})" if name in _BYTES else _number(value)


def _number(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)
