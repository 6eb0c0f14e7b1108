"""The fields of a request for a subscription, for the OpenAPI document and the code."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from service.catalogue.models import ModelSlug
from service.deliveries.custom_headers import MOST_HEADERS
from service.model import EventType
from service.model.json_types import about

METADATA_PAIRS = 20
NAME_LENGTH = 80

Events = Annotated[
    list[EventType],
    about("Its events. Missing: succeeded, failed, unknown and held.", ["job.succeeded"]),
]
Format = Annotated[str, about("The format of the body; the channel's first one if missing.")]
Models = Annotated[list[ModelSlug], about("Only jobs of these models; empty: all jobs.")]
Pairs = Annotated[
    dict[str, str | float | bool],
    about("Only jobs whose metadata has exactly these pairs.", max_length=METADATA_PAIRS),
]
Name = Annotated[
    str,
    about(
        "Its name for people.",
        "Orders",
        max_length=NAME_LENGTH,
        json_schema_extra={"format": "name"},
    ),
]
HeaderFields = dict[
    Annotated[str, Field(json_schema_extra={"format": "header-name"})],
    Annotated[str, Field(json_schema_extra={"format": "header-value"})],
]
Headers = Annotated[
    HeaderFields,
    about(
        "Headers for the endpoint, such as its API key; only for webhooks. They are stored"
        " encrypted and never shown again.",
        max_length=MOST_HEADERS,
    ),
]
OwnSecret = Annotated[
    str,
    about(
        "Your own secret: `whsec_` and 24 to 64 bytes in base64; only for webhooks. Missing: a"
        " new one is made.",
        json_schema_extra={"format": "webhook-secret"},
    ),
]


@with_config(extra="forbid")
class NewSubscription(TypedDict):
    """A request for a subscription."""

    channel: Annotated[str, about("The channel.", "webhook")]
    target: Annotated[str, about("Where events are sent.", "https://example.com/clips")]
    events: NotRequired[Events]
    format: NotRequired[Format]
    models: NotRequired[Models]
    metadata: NotRequired[Pairs]
    name: NotRequired[Name]
    headers: NotRequired[Headers]
    secret: NotRequired[OwnSecret]


FIELDS = tuple(NewSubscription.__annotations__)
