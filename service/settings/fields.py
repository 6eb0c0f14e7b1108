"""All settings of a process, and values derived from them."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, create_model, model_validator

from service.catalogue.models import FIRST, MODELS, OFFERS, VENDORS
from service.errors import SettingsError
from service.model import utc_now
from service.settings.key_file import read_key_file
from service.settings.values import (
    BrokerUrl,
    Days,
    Delay,
    Delays,
    Dollars,
    Names,
    Networks,
    Origin,
    OwnOrigin,
    Prices,
    PublicUrl,
    Seconds,
    Secrets,
    Switch,
)

PREFIX = "CLIPBELL_"
PROVIDER_NAMES = tuple(VENDORS)
#: The names that may have an operator's price.
PRICED = {*MODELS, *(f"{name}/{slug}" for slug, sold in OFFERS.items() for name in sold)}
KEY_LENGTH = 32


class _Settings(BaseModel, extra="forbid", validate_default=True, defer_build=True):
    """All settings, in the order of ``deploy/env.example``; times in seconds, money in dollars."""

    database_url: str = ""
    data_dir: Path = Path("data")
    public_url: PublicUrl = "http://127.0.0.1:8000"
    pull: Switch = False
    secret_keys: Secrets = ()
    providers: Names = ()
    apixo_api_key: SecretStr = SecretStr("")
    apixo_base_url: Origin = "https://api.apixo.ai"
    segmind_api_key: SecretStr = SecretStr("")
    segmind_base_url: Origin = "https://api.segmind.com"
    segmind_api: Literal["v2", "v1"] = "v2"
    videos_models: Names = ()
    prices: Prices = {}
    budget: Dollars | None = None
    job_budget: Dollars | None = None
    submit_timeout: Seconds = 60
    sync_timeout: Seconds | None = None
    sync_waiters: Annotated[int, Field(ge=0)] = 4
    poll_after: Seconds | None = None
    poll_every: Seconds | None = None
    confirm_callbacks: Switch = True
    result_hosts: Names = ()
    storage_url: str = ""
    archive_wait: Delay = 30
    archive_max_bytes: Annotated[int, Field(gt=0)] = 1024**3
    retention_days: Days | None = None
    quota_bytes: Annotated[int, Field(gt=0)] | None = None
    link_ttl: Seconds = 90 * 86_400
    accel: Literal["none", "x-accel", "presigned"] = "none"
    smtp_url: SecretStr = SecretStr("")
    mail_from: str = ""
    slack_bot_token: SecretStr = SecretStr("")
    retry_schedule: Delays = (0, 5, 300, 1800, 7200, 18000, 36000, 36000)
    engine: Literal["threads", "celery"] = "threads"
    broker_url: BrokerUrl = SecretStr("")
    allowed_networks: Networks = ()
    trusted_proxies: Annotated[int, Field(ge=0)] = 0
    log_format: Literal["json", "console"] = "console"

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        # A folder's name may contain characters that are special in a URL.
        folder = self.data_dir.absolute().as_uri().removeprefix("file://")
        self.database_url = self.database_url or f"sqlite:///{folder}/clipbell.db"
        self.storage_url = self.storage_url or f"file://{folder}/videos"
        unknown = [name for name in self.providers if name not in PROVIDER_NAMES]
        if unknown:
            known = ", ".join(PROVIDER_NAMES)
            raise ValueError(f"{PREFIX}PROVIDERS must name some of {known}, not {unknown[0]!r}")
        for name in self.prices:
            if name not in PRICED and name.partition(":")[0] not in VENDORS:
                raise ValueError(
                    f"{PREFIX}PRICES names {name!r}; the models are {', '.join(MODELS)}, "
                    "each also as VENDOR/MODEL, and a vendor's unit as VENDOR:UNIT"
                )
        if any(len(key.get_secret_value()) < KEY_LENGTH for key in self.secret_keys):
            needed = f"needs at least {KEY_LENGTH} characters"
            raise ValueError(f"each of {PREFIX}SECRET_KEYS {needed}")
        return self

    def keys(self, now: datetime | None = None) -> list[str]:
        """
        The current secret keys, newest first.

        From SECRET_KEYS, else from ``DATA_DIR/secret_keys``. Keys that have expired by `now`
        (default: the current time) are left out.
        """
        moment = now or utc_now()
        return [key for key, ends_at in self.dated_keys() if ends_at is None or ends_at > moment]

    def dated_keys(self) -> list[tuple[str, datetime | None]]:
        """
        All secret keys, newest first, each with its expiry or None, as in SECRET_KEYS.

        A line of the file is a key, or a key and a time such as 2026-01-31T00:00:00+00:00.

        Raises:
            SettingsError: the file is missing or not valid.
        """
        if self.secret_keys:
            return [(key.get_secret_value(), None) for key in self.secret_keys]
        try:
            # Building a Path would cost each request as much as the check of the file.
            found = read_key_file(f"{self.data_dir}/secret_keys")
        except FileNotFoundError:
            raise SettingsError(
                f"there are no secret keys: run `clipbell init`, which makes "
                f"{self.secret_keys_file}, or set {PREFIX}SECRET_KEYS"
            ) from None
        except OSError as error:
            raise SettingsError(f"cannot read {self.secret_keys_file}: {error.strerror}") from None
        if not found or any(len(key) < KEY_LENGTH for key, _ in found):
            wrong = f"{self.secret_keys_file} does not hold keys of {KEY_LENGTH} characters or more"
            raise SettingsError(f"{wrong}: restore it, or delete it and run `clipbell init`")
        return list(found)

    def api_key_of(self, vendor: str) -> str:
        """The API key of our account at a vendor; blank if there is none."""
        key: SecretStr = getattr(self, f"{vendor}_api_key")
        return key.get_secret_value()

    def base_url_of(self, vendor: str) -> str:
        """The origin of a vendor's API."""
        return str(getattr(self, f"{vendor}_base_url"))

    def webhook_secret_of(self, vendor: str) -> str:
        """The secret with which a vendor signs callbacks; blank if there is none."""
        secret: SecretStr = getattr(self, f"{vendor}_webhook_secret", SecretStr(""))
        return secret.get_secret_value()

    def can_use(self, vendor: str) -> bool:
        """Whether a vendor is wanted and has a key; the user's own server needs a URL instead."""
        if self.providers and vendor not in self.providers:
            return False
        known = VENDORS[vendor].base_url
        return bool(self.api_key_of(vendor) if known else self.base_url_of(vendor))

    @property
    def has_budget(self) -> bool:
        """Whether there is a budget per day or per job, so that each job needs a price."""
        return self.budget is not None or self.job_budget is not None

    @property
    def usable_vendors(self) -> list[str]:
        """The names of the vendors that are wanted and can be used."""
        return [name for name in VENDORS if self.can_use(name)]

    @property
    def public_path(self) -> str:
        """The path of PUBLIC_URL, such as ``/clips``; blank if it has none."""
        return urlsplit(self.public_url).path

    @property
    def public_origin(self) -> str:
        """PUBLIC_URL without its path."""
        return self.public_url.removesuffix(self.public_path)

    @property
    def downloads(self) -> Path:
        """The folder of videos on their way to the storage."""
        return self.data_dir / "downloads"

    @property
    def submissions(self) -> Path:
        """The folder of answers to creates until their rows are committed."""
        return self.data_dir / "submissions"

    @property
    def high_water(self) -> Path:
        """The file that counts the creates sent from this folder."""
        return self.data_dir / "high_water.json"

    @property
    def answers(self) -> Path:
        """The folder of answers that are videos themselves, until the storage has them."""
        return self.data_dir / "answers"

    @property
    def secret_keys_file(self) -> Path:
        """The file of the secret keys that `clipbell init` creates."""
        return self.data_dir / "secret_keys"


def _vendor_fields() -> dict[str, Any]:
    """The settings of each further vendor: its key, its origin and its webhook secret."""
    fields: dict[str, Any] = {}
    for vendor in VENDORS.values():
        if vendor.name not in FIRST:
            fields[f"{vendor.name}_api_key"] = (SecretStr, SecretStr(""))
            kind = Origin if vendor.base_url else OwnOrigin
            fields[f"{vendor.name}_base_url"] = (kind, vendor.base_url)
            if vendor.signs:
                fields[f"{vendor.name}_webhook_secret"] = (SecretStr, SecretStr(""))
    return fields


if TYPE_CHECKING:

    class Settings(_Settings):
        """All settings, including those of the vendors."""

else:
    Settings = create_model("Settings", __base__=_Settings, **_vendor_fields())


def make_secret_key() -> str:
    """Generate a secret key: 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)
