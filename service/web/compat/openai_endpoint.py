"""A subscription of ours as a webhook endpoint of OpenAI's API."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from service.deliveries.subscriptions import target_of
from service.errors import BadToken
from service.messages.payloads import OPENAI_TYPES
from service.model import Subscription
from service.model.delivery_json import events_of
from service.model.json_types import HookUrl, Secret, SubscriptionId, about
from service.web.context import wiring

EVENT_TYPES = tuple(dict.fromkeys(OPENAI_TYPES.values()))

EventTypes = Annotated[
    list[Annotated[str, Field(json_schema_extra={"enum": list(EVENT_TYPES)})]],
    about("The events that are sent to it.", ["video.completed"], min_length=1),
]
EndpointName = Annotated[str, about("Its name for people.", "Orders", min_length=1)]


class NewEndpointJson(TypedDict):
    """A request for a webhook endpoint."""

    event_types: EventTypes
    name: EndpointName
    url: Annotated[HookUrl, about("Where events are sent.")]


class EndpointChangeJson(TypedDict, total=False):
    """The fields of a webhook endpoint to change."""

    event_types: EventTypes
    name: EndpointName
    url: Annotated[HookUrl, about("Where events are sent.")]


class EndpointRotationJson(TypedDict, total=False):
    """How to replace a secret."""

    keep_old_secret_active_for_24_hours: Annotated[
        bool, about("Whether the old one signs too for a day.", False)
    ]


class EndpointTestJson(TypedDict):
    """A test of an endpoint."""

    event_type: Annotated[
        str,
        Field(json_schema_extra={"enum": list(EVENT_TYPES)}),
        about("The event of the sample.", "video.completed"),
    ]


class EndpointJson(TypedDict):
    """A webhook endpoint of OpenAI's API: our subscription."""

    id: Annotated[SubscriptionId, about("Its id: our subscription's.")]
    object: Annotated[Literal["webhook_endpoint"], about("Always `webhook_endpoint`.")]
    created_at: Annotated[int, about("In seconds since 1970.", 1767268800)]
    updated_at: Annotated[None, about("Always null: Clipbell does not store it.")]
    event_types: EventTypes
    name: Annotated[str, about("Its name for people.", "Orders")]
    url: Annotated[str, about("Where events are sent.", "https://example.com/videos")]
    signing_secret_hint: Annotated[
        str | None,
        about("The end of its secret; null if no key here can decrypt it.", "whsec_…x8Q="),
    ]


class EndpointWithSecretJson(EndpointJson):
    """A webhook endpoint with its secret."""

    signing_secret: Annotated[Secret, about("Verifies our signatures; shown only once.")]


class EndpointsJson(TypedDict):
    """A page of webhook endpoints."""

    object: Annotated[Literal["list"], about("Always `list`.")]
    data: list[EndpointJson]
    has_more: Annotated[bool, about("Whether there are more after `last_id`.", False)]
    first_id: Annotated[str | None, about("The first one's id.", None)]
    last_id: Annotated[str | None, about("The last one's id: `after` of the next page.", None)]


class DeletedEndpointJson(TypedDict):
    """A webhook endpoint that was deleted."""

    id: Annotated[SubscriptionId, about("Its id.")]
    object: Annotated[
        Literal["webhook_endpoint.deleted"], about("Always `webhook_endpoint.deleted`.")
    ]
    deleted: Annotated[Literal[True], about("Always true.")]


class TestedEndpointJson(TypedDict):
    """The answer of an endpoint to a sample."""

    object: Annotated[Literal["webhook_endpoint.test"], about("Always `webhook_endpoint.test`.")]
    webhook_endpoint_id: Annotated[SubscriptionId, about("The endpoint.")]
    event_type: Annotated[str, about("The event that was sent.", "video.completed")]
    status_code: Annotated[int, about("The HTTP status of its answer.", 200)]
    success: Annotated[Literal[True], about("Always true: there was an answer.")]


class EventTypesJson(TypedDict):
    """All types of events."""

    object: Annotated[Literal["list"], about("Always `list`.")]
    data: Annotated[list[str], about("The types.", list(EVENT_TYPES))]


def shown_endpoint(subscription: Subscription) -> EndpointJson:
    """A subscription of the format ``openai`` as OpenAI's object."""
    encryptor, events = wiring().encryptor, events_of(subscription)
    hint = None
    with suppress(BadToken):
        hint = f"whsec_…{encryptor.decrypt(subscription.secret)[-4:]}"
    return {
        "id": subscription.id,
        "object": "webhook_endpoint",
        "created_at": int(subscription.created_at.timestamp()),
        "updated_at": None,
        "event_types": list(dict.fromkeys(OPENAI_TYPES[event] for event in events)),
        "name": subscription.name,
        "url": target_of(encryptor, subscription),
        "signing_secret_hint": hint,
    }


def with_secret(subscription: Subscription, secret: str) -> EndpointWithSecretJson:
    """A subscription as OpenAI's object, with its secret."""
    return {**shown_endpoint(subscription), "signing_secret": secret}
