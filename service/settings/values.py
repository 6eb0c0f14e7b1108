"""The types of settings: the checks and conversions of their text."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr

from service.errors import got

BROKER_SCHEMES = ("amqp", "amqps", "redis", "rediss")
#: Segments of a path that no proxy and no browser rewrites.
PLAIN_PATH = re.compile(r"(/(?!\.\.?(/|$))[A-Za-z0-9._~-]+)*")
#: A host name in any script, or an address, without user name and password.
HOST_AND_PORT = re.compile(r"(\w([\w.-]*\w)?\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
#: The first segments of our own paths: below such a PUBLIC_URL, a path would be ambiguous.
OWN_PATHS = (
    *("api", "callbacks", "deliveries", "docs", "healthz", "i", "jobs", "login", "logout", "mcp"),
    *("metrics", "new", "numbers", "openapi.json", "readyz", "settings", "static"),
    *("subscriptions", "u", "v", "v1", "v2"),
)


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _web_url(value: Any, advice: str) -> str:
    """The URL with scheme and host in lower case. Raises ValueError with the advice."""
    text = str(value).rstrip("/")
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        raise ValueError(advice) from None
    usable = parts.scheme in ("http", "https") and HOST_AND_PORT.fullmatch(parts.netloc)
    if not usable or set("?#") & set(text):
        raise ValueError(advice)
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}"


def _origin(value: Any) -> Any:
    advice = "must be an origin such as https://clips.example.com, without a path"
    text = _web_url(value, advice)
    if urlsplit(text).path:
        raise ValueError(advice)
    return text


def _own_origin(value: Any) -> Any:
    """An origin; the path that all such servers have is removed."""
    return _origin(str(value).rstrip("/").removesuffix("/v1")) if value else ""


def _public_url(value: Any) -> Any:
    text = _web_url(
        value, "must be a URL such as https://clips.example.com or https://example.com/clips"
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
        raise ValueError(f"must be JSON such as {example}{got(value)}") from None


def _switch(value: Any) -> Any:
    text = str(value).lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    raise ValueError("must be true or false" + got(value))


def _broker_url(value: Any) -> Any:
    if value and urlsplit(str(value)).scheme not in BROKER_SCHEMES:
        raise ValueError("must begin with amqp://, amqps://, redis:// or rediss://")
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Networks = Annotated[tuple[str, ...], BeforeValidator(_network)]
#: A hundred years, in seconds: dates that far from now are still valid.
LONGEST_SECONDS = 100 * 366 * 86_400
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Delay = Annotated[float, Field(ge=0, le=LONGEST_SECONDS)]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS)]
Days = Annotated[float, Field(gt=0, le=LONGEST_SECONDS / 86_400)]
Delays = Annotated[tuple[Delay, ...], BeforeValidator(_split), Field(min_length=1)]
Switch = Annotated[bool, BeforeValidator(_switch)]
PublicUrl = Annotated[str, BeforeValidator(_public_url)]
Origin = Annotated[str, BeforeValidator(_origin)]
OwnOrigin = Annotated[str, BeforeValidator(_own_origin)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split)]
Prices = Annotated[dict[str, Price], BeforeValidator(_prices)]
BrokerUrl = Annotated[SecretStr, BeforeValidator(_broker_url)]
Dollars = Annotated[float, Field(gt=0, allow_inf_nan=False)]
