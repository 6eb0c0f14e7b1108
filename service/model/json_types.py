"""The types of JSON fields that several shapes share, with the schema and example of each."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field
from typing_extensions import TypedDict

T = TypeVar("T")
Encoding = Literal["utf-8", "base64"]
#: Of a video, in examples.
LINK = "https://clips.example.com/v/eyJ2aWRlbyI6"
_TAIL = "0198f3c2a1b47d6e9f00112233445566"


def about(description: str, *examples: Any, **limits: Any) -> Any:
    """
    The annotation of a field: its meaning, examples of its value, and limits.

    Args:
        examples: JSON values; the first one stands in the example of the whole shape.
        limits: as `pydantic.Field` takes them, such as ``ge=0`` or ``max_length=10``.
    """
    if examples:
        limits["examples"] = list(examples)
    return Field(description=description, **limits)


def _id(prefix: str) -> Any:
    return Field(pattern=f"^{prefix}_[0-9a-f]{{32}}$", examples=[f"{prefix}_{_TAIL}"])


AccountId = Annotated[str, _id("acc")]
CallbackId = Annotated[str, _id("cbk")]
DeliveryId = Annotated[str, _id("dlv")]
EventId = Annotated[str, _id("evt")]
JobId = Annotated[str, _id("job")]
SubscriptionId = Annotated[str, _id("sub")]
#: RFC 3339 in UTC.
Moment = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-01-01T12:00:00Z"])
]
Url = Annotated[str, Field(json_schema_extra={"format": "uri"})]
#: A URL that events are sent to.
HookUrl = Annotated[
    str,
    Field(
        json_schema_extra={"format": "http-url"},
        min_length=8,
        examples=["https://example.com/clips"],
    ),
]
#: Of a subscription.
Secret = Annotated[
    str, Field(pattern="^whsec_", examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
]
#: Free text in an address or a body: anything but NUL, which no database stores.
Text = Annotated[str, Field(pattern=r"^[^\u0000]*$")]
ModelName = Annotated[str, Field(examples=["kling-2.5-turbo"])]
ProviderName = Annotated[str, Field(examples=["segmind"])]
ChannelName = Annotated[str, Field(examples=["webhook"])]
Cursor = Annotated[
    str | None,
    about("The value of `cursor` for the next page; null after the last page.", None),
]


class Page(TypedDict, Generic[T]):
    """A page of a list."""

    data: list[T]
    next_cursor: Cursor


def text_or_base64(body: bytes) -> tuple[Encoding, str]:
    """A body as text, or as base64 where it is none."""
    try:
        return "utf-8", body.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(body).decode()
