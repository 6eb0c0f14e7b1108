"""The operations on subscriptions, hooks, events and deliveries in ``/openapi.json``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from service.messages.payloads import FormatName
from service.model import DeliveryState, EventType
from service.model.delivery_json import (
    DeliveryJson,
    DeliveryWithContentJson,
    ListedDeliveryJson,
    SubscriptionJson,
    SubscriptionWithSecretJson,
    TriggeredJson,
)
from service.model.json_types import DeliveryId, Moment, Page, SubscriptionId
from service.web.api.events import EventsJson, NewSample
from service.web.api.hooks import HookJson, NewHook
from service.web.api.subscriptions import (
    RecoveredJson,
    Rotation,
    SubscriptionChange,
    TestResultJson,
)
from service.web.openapi.builders import (
    Operation,
    Response,
    in_path,
    in_query,
    ref,
    search,
    switch,
)
from service.web.openapi.jobs import CURSOR, LIMIT, LINK, PAGES

_NONE = {404: "You have no such subscription."}
_NO_DELIVERY = {404: "You have no such delivery."}
_ID = in_path("subscription_id", SubscriptionId, "The subscription's id.")
#: Deleting a hook that does not exist is not an error.
_HOOK_ID = in_path("subscription_id", str, "The hook's id.")
_DELIVERY = in_path("delivery_id", DeliveryId, "The delivery's id.")
_BUSY = {503: "Too many tests are in progress; see Retry-After."}
_SAMPLE: dict[str, Any] = {
    "id": "evt_0198f3c2a1b47d6e9f00112233445566",
    "type": "job.succeeded",
    "timestamp": "2026-01-01T12:00:00Z",
    "sequence": 3,
    "sample": True,
    "job_id": "job_00000000000000000000000000000000",
    "state": "succeeded",
}

OPERATIONS: dict[str, Operation] = {
    "subscriptions.create": Operation(
        "Subscriptions",
        {201: Response("The hook is created.", SubscriptionWithSecretJson, ("Location",))},
        _BUSY,
        (switch("test", "Send a sample first; save the subscription only if it is accepted."),),
        ref("NewSubscription"),
        example={
            "channel": "webhook",
            "target": "https://example.com/clips",
            "events": ["job.succeeded", "job.failed"],
        },
    ),
    "subscriptions.list_all": Operation(
        "Subscriptions", {200: Response("All subscriptions.", Page[SubscriptionJson])}
    ),
    "subscriptions.get": Operation(
        "Subscriptions", {200: Response("The subscription.", SubscriptionJson)}, _NONE, (_ID,)
    ),
    "subscriptions.change": Operation(
        "Subscriptions",
        {200: Response("The changed subscription.", SubscriptionJson)},
        _NONE,
        (_ID,),
        SubscriptionChange,
        example={"enabled": True, "events": ["job.succeeded"]},
    ),
    "subscriptions.delete": Operation(
        "Subscriptions", {204: Response("The subscription is deleted.")}, _NONE, (_ID,)
    ),
    "subscriptions.test": Operation(
        "Subscriptions", {200: Response("The result.", TestResultJson)}, _NONE | _BUSY, (_ID,)
    ),
    "subscriptions.recover": Operation(
        "Subscriptions",
        {202: Response("The deliveries will be sent.", RecoveredJson, LINK)},
        _NONE | {409: "The subscription is disabled: enable it first."},
        (
            _ID,
            in_query(
                "since",
                Moment,
                "The time of the oldest event.",
                required=True,
                example="2026-01-01T00:00:00Z",
            ),
            switch("missing", "Also events that were never sent to it."),
            switch("dry_run", "Only count the deliveries."),
            CURSOR,
        ),
    ),
    "subscriptions.rotate": Operation(
        "Subscriptions",
        {200: Response("The subscription, with its new secret.", SubscriptionWithSecretJson)},
        _NONE,
        (_ID,),
        Rotation,
        optional=True,
        example={"revoke": False},
    ),
    "hooks.subscribe_hook": Operation(
        "REST hooks",
        {
            201: Response("The hook is created.", HookJson, ("Location",)),
            200: Response("The hook existed already and is enabled.", HookJson),
        },
        body=NewHook,
        example={"target_url": "https://example.com/clips", "event": "job.succeeded"},
    ),
    "hooks.get_hook": Operation(
        "REST hooks", {200: Response("The hook.", HookJson)}, _NONE, (_HOOK_ID,)
    ),
    "hooks.unsubscribe_hook": Operation(
        "REST hooks", {204: Response("The hook does not exist any more.")}, parameters=(_HOOK_ID,)
    ),
    "events.feed": Operation(
        "Events",
        {200: Response("The events after the cursor, oldest first.", EventsJson, LINK)},
        {410: "Events after this cursor are gone; the answer names the cursor to continue with."},
        (
            in_query(
                "after",
                Annotated[int, Field(ge=0, le=999_999_999)],
                "The last `seq` that you have.",
            ),
            in_query(
                "type",
                Annotated[list[EventType], Field(min_length=1)],
                "Only events of these types.",
                style="form",
                explode=False,
            ),
            LIMIT,
        ),
    ),
    "events.samples": Operation(
        "Events",
        {
            200: Response(
                "Up to three, newest first; never empty. Each is the body of a push.",
                Annotated[list[dict[str, Any]], Field(min_length=1)],
                example=[_SAMPLE],
            )
        },
        parameters=(
            in_query("event", EventType, "The type of the events. Default: job.succeeded."),
            in_query("format", FormatName, "The format of the body. Default: flat."),
        ),
    ),
    "events.trigger": Operation(
        "Events",
        {201: Response("The sample is stored; the worker delivers it.", TriggeredJson)},
        body=NewSample,
        example={"type": "job.succeeded"},
    ),
    "deliveries.list_deliveries": Operation(
        "Deliveries",
        {200: Response("A page of deliveries.", Page[ListedDeliveryJson], LINK)},
        parameters=(
            search("job_id", "Only callbacks of this job."),
            search("event_id", "Only deliveries of this event."),
            search("subscription_id", "Only deliveries to this subscription."),
            search("channel", "Only deliveries by this channel."),
            in_query("state", DeliveryState, "Only items in this state."),
            in_query("type", EventType, "Only deliveries of events of this type."),
            in_query("since", Moment, "Only deliveries created since this time."),
            *PAGES,
        ),
    ),
    "deliveries.get": Operation(
        "Deliveries",
        {200: Response("The delivery, with requests and answers.", DeliveryWithContentJson)},
        _NO_DELIVERY,
        (_DELIVERY,),
    ),
    "deliveries.resend": Operation(
        "Deliveries",
        {202: Response("The delivery will be sent again.", DeliveryJson)},
        _NO_DELIVERY
        | {
            409: "An attempt is in progress, or the recipient has unsubscribed.",
            429: "More than 60 resends a minute; see Retry-After.",
        },
        (_DELIVERY,),
    ),
}
