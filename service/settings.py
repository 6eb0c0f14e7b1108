"""
Settings from the environment, each ``CLIPBELL_NAME`` or ``CLIPBELL_NAME_FILE``.

The one place that reads the environment. A bad value stops the start with the
name and what it may be.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from service.catalogue.models import FIRST, MODELS, OFFERS, VENDORS
from service.errors import SettingsError, did_you_mean
from service.model import utc_now

PREFIX = "CLIPBELL_"
#: What the recipes in deploy/ give to the service's clients, perhaps on the same machine.
CLIENTS = ("URL", "KEY", "API_KEY", "WEBHOOK_SECRET")
PROVIDER_NAMES = tuple(VENDORS)
#: What can have a price of the operator's own.
PRICED = {*MODELS, *(f"{name}/{slug}" for slug, sold in OFFERS.items() for name in sold)}
#: Where Heroku, Render, Railway and their like say which database they have made for the service.
PLATFORM_DATABASE = "DATABASE_URL"
KEY_LENGTH = 32
BROKER_SCHEMES = ("amqp", "amqps", "redis", "rediss")
#: Segments of a path that no proxy and no browser writes in another way.
PLAIN_PATH = re.compile(r"(/(?!\.\.?(/|$))[A-Za-z0-9._~-]+)*")
#: How our own paths begin: what comes below such a PUBLIC_URL could be meant with or without it.
OWN_PATHS = (
    *("api", "callbacks", "deliveries", "docs", "healthz", "i", "jobs", "login", "logout", "mcp"),
    *("metrics", "new", "numbers", "openapi.json", "readyz", "settings", "static"),
    *("subscriptions", "u", "v", "v1", "v2"),
)


#: When a secret key ends, behind it in its file.
_END = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _is_web_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not set("?#") & set(text)


def _origin(value: Any) -> Any:
    text = str(value).rstrip("/")
    if not _is_web_url(text) or urlsplit(text).path:
        raise ValueError("must be an origin such as https://clips.example.com, without a path")
    return text


def _own_origin(value: Any) -> Any:
    """The same; such servers are often given with the path that all of them have."""
    return _origin(str(value).rstrip("/").removesuffix("/v1")) if value else ""


def _public_url(value: Any) -> Any:
    text = str(value).rstrip("/")
    if not _is_web_url(text):
        raise ValueError(
            "must be a URL such as https://clips.example.com or https://example.com/clips"
        )
    path = urlsplit(text).path
    if not PLAIN_PATH.fullmatch(path):
        raise ValueError("its path may hold letters, digits, . _ ~ - and single slashes only")
    first = path.partition("/")[2].partition("/")[0]
    if first in OWN_PATHS:
        raise ValueError(f"its path cannot begin with /{first}: Clipbell has pages there")
    return text


def _network(value: Any) -> Any:
    for part in _split(value):
        ipaddress.ip_network(part)
    return _split(value)


def _prices(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        example = '{"kling-2": 1.75}'
        raise ValueError(f"must be JSON such as {example}") from None


def _switch(value: Any) -> Any:
    text = str(value).lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    raise ValueError("must be true or false")


def _broker_url(value: Any) -> Any:
    if value and urlsplit(str(value)).scheme not in BROKER_SCHEMES:
        raise ValueError("must begin with amqp://, amqps://, redis:// or rediss://")
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Networks = Annotated[tuple[str, ...], BeforeValidator(_network)]
Delay = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Delays = Annotated[tuple[Delay, ...], BeforeValidator(_split), Field(min_length=1)]
Switch = Annotated[bool, BeforeValidator(_switch)]
PublicUrl = Annotated[str, BeforeValidator(_public_url)]
Origin = Annotated[str, BeforeValidator(_origin)]
OwnOrigin = Annotated[str, BeforeValidator(_own_origin)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split)]
Prices = Annotated[dict[str, Delay], BeforeValidator(_prices)]
BrokerUrl = Annotated[SecretStr, BeforeValidator(_broker_url)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Settings(BaseSettings, extra="forbid"):
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
    budget: Positive | None = None
    job_budget: Positive | None = None
    submit_timeout: Positive = 60
    sync_timeout: Positive | None = None
    sync_waiters: Annotated[int, Field(ge=0)] = 4
    poll_after: Positive | None = None
    poll_every: Positive | None = None
    confirm_callbacks: Switch = True
    result_hosts: Names = ()
    storage_url: str = ""
    archive_wait: Annotated[float, Field(ge=0)] = 30
    archive_max_bytes: Annotated[int, Field(gt=0)] = 1024**3
    retention_days: Positive | None = None
    quota_bytes: Annotated[int, Field(gt=0)] | None = None
    link_ttl: Positive = 90 * 86_400
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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: `load_settings` reads the environment, or what stands in for it."""
        return (init_settings,)

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        # A folder's name may hold what means something in a URL.
        folder = self.data_dir.absolute().as_uri().removeprefix("file://")
        self.database_url = self.database_url or f"sqlite:///{folder}/clipbell.db"
        self.storage_url = self.storage_url or f"file://{folder}/videos"
        unknown = [name for name in self.providers if name not in PROVIDER_NAMES]
        if unknown:
            raise ValueError(
                f"{PREFIX}PROVIDERS knows {', '.join(PROVIDER_NAMES)}, not {unknown[0]!r}"
            )
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
        The secret keys in force, newest first.

        From SECRET_KEYS, else from ``DATA_DIR/secret_keys``. Those that have ended by `now`
        (this moment) are left out.
        """
        if self.secret_keys:
            return [key.get_secret_value() for key in self.secret_keys]
        moment = now or utc_now()
        return [key for key, ends_at in self.dated_keys() if ends_at is None or ends_at > moment]

    def dated_keys(self) -> list[tuple[str, datetime | None]]:
        """
        The secret keys in the file, newest first, and when each ends: None for never.

        A line is a key, or a key and a time such as 2026-01-31T00:00:00+00:00.

        Raises:
            SettingsError: there is no such file, or it cannot be used.
        """
        try:
            words = self.secret_keys_file.read_text().split()
        except FileNotFoundError:
            raise SettingsError(
                f"there are no secret keys: run `clipbell init`, which makes "
                f"{self.secret_keys_file}, or set {PREFIX}SECRET_KEYS"
            ) from None
        except OSError as error:
            raise SettingsError(f"cannot read {self.secret_keys_file}: {error.strerror}") from None
        except UnicodeDecodeError:
            words = []
        found: list[tuple[str, datetime | None]] = []
        for word in words:
            if found and _END.fullmatch(word):
                found[-1] = found[-1][0], datetime.fromisoformat(word)
            else:
                found.append((word, None))
        if not found or any(len(key) < KEY_LENGTH for key, _ in found):
            wrong = f"{self.secret_keys_file} does not hold keys of {KEY_LENGTH} characters or more"
            raise SettingsError(f"{wrong}: restore it, or delete it and run `clipbell init`")
        return found

    def api_key_of(self, vendor: str) -> str:
        """The key of our account there; blank for none."""
        key: SecretStr = getattr(self, f"{vendor}_api_key")
        return key.get_secret_value()

    def base_url_of(self, vendor: str) -> str:
        """The origin of its API."""
        return str(getattr(self, f"{vendor}_base_url"))

    def webhook_secret_of(self, vendor: str) -> str:
        """What it signs callbacks with; blank for none."""
        secret: SecretStr = getattr(self, f"{vendor}_webhook_secret", SecretStr(""))
        return secret.get_secret_value()

    def can_use(self, vendor: str) -> bool:
        """Whether it is wanted, and has a key; a server of one's own needs an address instead."""
        if self.providers and vendor not in self.providers:
            return False
        known = VENDORS[vendor].base_url
        return bool(self.api_key_of(vendor) if known else self.base_url_of(vendor))

    @property
    def public_path(self) -> str:
        """The path of PUBLIC_URL, such as ``/clips``; blank where it has none."""
        return urlsplit(self.public_url).path

    @property
    def public_origin(self) -> str:
        """PUBLIC_URL without its path."""
        return self.public_url.removesuffix(self.public_path)

    @property
    def downloads(self) -> Path:
        """Where videos lie that are on their way to the storage."""
        return self.data_dir / "downloads"

    @property
    def submissions(self) -> Path:
        """Where answers to creates lie until their rows are committed."""
        return self.data_dir / "submissions"

    @property
    def high_water(self) -> Path:
        """The file that counts the creates that went out from this folder."""
        return self.data_dir / "high_water.json"

    @property
    def answers(self) -> Path:
        """Where answers lie that are videos themselves, until the storage has them."""
        return self.data_dir / "answers"

    @property
    def secret_keys_file(self) -> Path:
        """Where `clipbell init` keeps the keys it makes."""
        return self.data_dir / "secret_keys"


def _vendor_fields() -> dict[str, Any]:
    """The settings of each further vendor: its key, its origin, and the secret that it signs by."""
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
        """With those of the vendors."""

else:
    Settings = create_model("Settings", __base__=_Settings, **_vendor_fields())


def load_settings(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """
    The settings of this process.

    Args:
        environ: stands in for the process's environment.
        given: values that win over the environment, by field name.

    Raises:
        SettingsError: one line that names every bad setting and its allowed values.
    """
    source = EnvironmentOrFile(Settings, os.environ if environ is None else environ)
    try:
        return Settings.model_validate(source() | given)
    except ValidationError as error:
        wrong = []
        for each in error.errors():
            name = f"{PREFIX}{str(each['loc'][0]).upper()}: " if each["loc"] else ""
            wrong.append(name + each["msg"].removeprefix("Value error, "))
        raise SettingsError("; ".join(wrong)) from None


def misspelt(environ: Mapping[str, str] | None = None) -> list[str]:
    """Of each variable that looks like a setting but is none, a sentence with the nearest one."""
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
    The service that ``CLIPBELL_URL`` and ``CLIPBELL_KEY`` name; None where they are not set.

    Raises:
        SettingsError: only the address is set.
    """
    url, key = os.environ.get(f"{PREFIX}URL", ""), os.environ.get(f"{PREFIX}KEY", "")
    if url and not key:
        raise SettingsError("CLIPBELL_URL is set: set CLIPBELL_KEY to an API key of that service")
    return Remote(url.rstrip("/"), key) if url else None


def inherits_sockets() -> bool:
    """Whether systemd, or the `serve` that this process takes over from, has opened our sockets."""
    return os.environ.get("LISTEN_PID") == str(os.getpid()) or "GUNICORN_FD" in os.environ


def child_environ(given: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a child: none of our settings but the `given` ones."""
    names = [n for n in os.environ if not n.startswith(PREFIX) and n != PLATFORM_DATABASE]
    return {name: os.environ[name] for name in names} | _as_environ(given)


def environ_with(given: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a child, with the `given` settings besides ours."""
    return dict(os.environ) | _as_environ(given)


def _as_environ(given: Mapping[str, str]) -> dict[str, str]:
    return {PREFIX + name.upper(): value for name, value in given.items()}


class EnvironmentOrFile(PydanticBaseSettingsSource):
    """Each ``CLIPBELL_NAME``, or the content of the file that ``CLIPBELL_NAME_FILE`` names."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environ = environ

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The text of one setting. Raises SettingsError."""
        name = PREFIX + field_name.upper()
        text, path = self._environ.get(name, ""), self._environ.get(f"{name}_FILE")
        if text and path:
            raise SettingsError(f"{name} and {name}_FILE are both set: keep one")
        try:
            text = Path(path).read_text().strip() if path else text
        except OSError as error:
            raise SettingsError(f"{name}_FILE names {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{name}_FILE names {path}: it must be UTF-8 text") from None
        return text, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The settings that are there; a blank one, as compose files leave them, is not."""
        names = self.settings_cls.model_fields
        found = {name: self.get_field_value(field, name)[0] for name, field in names.items()}
        found["database_url"] = found["database_url"] or self._environ.get(PLATFORM_DATABASE)
        return {name: value for name, value in found.items() if value}


def make_secret_key() -> str:
    """A fresh secret key: 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)
