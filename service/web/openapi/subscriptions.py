"""What `/openapi.json` tells of subscriptions, hooks, events and deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.messages.payloads import FORMATS
from service.model import DeliveryState, EventType
from service.web.api.hooks import TARGET_NAMES
from service.web.openapi.builders import (
    Operation,
    Response,
    Schema,
    in_path,
    in_query,
    list_of,
    moment,
    one_of,
    ref,
    text,
    things,
    whole,
)
from service.web.openapi.inputs import JOB_EVENTS, TARGETS, USUAL, narrowings
from service.web.openapi.jobs import CURSOR, ITEMS, LINK, PAGES, id_of, search, switch

_NONE = "You have no such subscription."
_NO_DELIVERY = "You have no such delivery."
_ID = id_of("subscription_id", "sub")
#: Deleting a hook that is not there is no error, whatever its name.
_ANY_ID = in_path("subscription_id", text("Its id."))
_DELIVERY = id_of("delivery_id", "dlv")
_BUSY = "Other tests are being sent; see Retry-After."
_BLANKS: list[Any] = [None, ""]

_NEW = {
    "channel": "webhook",
    "target": "https://example.com/clips",
    "events": ["job.succeeded", "job.failed"],
}
_NEW_HOOK = {"target_url": "https://example.com/clips", "event": "job.succeeded"}

OPERATIONS: dict[str, Operation] = {
    "subscriptions.create": Operation(
        "Subscriptions",
        {201: Response("It is on.", ref("SubscriptionWithSecret"), ("Location",))},
        {503: _BUSY},
        (switch("test", "Send a sample first, and save it only if that is taken."),),
        ref("NewSubscription"),
        example=_NEW,
    ),
    "subscriptions.list_all": Operation(
        "Subscriptions", {200: Response("All of them.", ref("Subscriptions"))}
    ),
    "subscriptions.get": Operation(
        "Subscriptions", {200: Response("It.", ref("Subscription"))}, {404: _NONE}, (_ID,)
    ),
    "subscriptions.change": Operation(
        "Subscriptions",
        {200: Response("It, as it is now.", ref("Subscription"))},
        {404: _NONE},
        (_ID,),
        ref("SubscriptionChange"),
        example={"enabled": True, "events": ["job.succeeded"]},
    ),
    "subscriptions.delete": Operation(
        "Subscriptions", {204: Response("It has ended.")}, {404: _NONE}, (_ID,)
    ),
    "subscriptions.test": Operation(
        "Subscriptions",
        {200: Response("How it went.", ref("Trial"))},
        {404: _NONE, 503: _BUSY},
        (_ID,),
    ),
    "subscriptions.recover": Operation(
        "Subscriptions",
        {202: Response("They will be sent.", ref("Recovered"), LINK)},
        {404: _NONE, 409: "It is off: enable it first."},
        (
            _ID,
            in_query("since", moment("Since when."), required=True, example="2026-01-01T00:00:00Z"),
            in_query("cursor", CURSOR),
        ),
    ),
    "subscriptions.rotate": Operation(
        "Subscriptions",
        {200: Response("It, with the secret that signs now.", ref("SubscriptionWithSecret"))},
        {404: _NONE},
        (_ID,),
        ref("Rotation"),
        optional=True,
        example={"revoke": False},
    ),
    "hooks.subscribe_hook": Operation(
        "REST hooks",
        {
            201: Response("It is on.", ref("HookWithSecret"), ("Location",)),
            200: Response("It was there already, and is on.", ref("Hook")),
        },
        body=ref("NewHook"),
        example=_NEW_HOOK,
    ),
    "hooks.get_hook": Operation(
        "REST hooks", {200: Response("It.", ref("Hook"))}, {404: _NONE}, (_ANY_ID,)
    ),
    "hooks.unsubscribe_hook": Operation(
        "REST hooks", {204: Response("It is gone, now or already.")}, parameters=(_ANY_ID,)
    ),
    "events.feed": Operation(
        "Events",
        {200: Response("Those after the cursor, oldest first.", ref("Events"), LINK)},
        {410: "Going on from there would skip events; the answer says where to go on."},
        (
            in_query("after", whole("The last `seq` you have.", minimum=0, maximum=999_999_999)),
            in_query(
                "type",
                list_of(one_of("An event.", EventType), "Only these.", minItems=1),
                style="form",
                explode=False,
            ),
            in_query("limit", ITEMS),
        ),
    ),
    "events.samples": Operation(
        "Events",
        {200: Response("Up to three, newest first; never empty.", ref("Samples"))},
        parameters=(
            in_query("event", one_of("Of which kind.", EventType) | {"default": "job.succeeded"}),
            in_query("format", one_of("The body's form.", FORMATS) | {"default": "flat"}),
        ),
    ),
    "deliveries.list_deliveries": Operation(
        "Deliveries",
        {200: Response("A page of them.", ref("Deliveries"), LINK)},
        parameters=(
            search("job_id", "Only those of this job."),
            search("event_id", "Only those of this event."),
            search("subscription_id", "Only those for this subscription."),
            search("channel", "Only those by this channel."),
            in_query("state", one_of("Only those in it.", DeliveryState)),
            *PAGES,
        ),
    ),
    "deliveries.get": Operation(
        "Deliveries", {200: Response("It.", ref("Delivery"))}, {404: _NO_DELIVERY}, (_DELIVERY,)
    ),
    "deliveries.resend": Operation(
        "Deliveries",
        {202: Response("It will be tried once more.", ref("Delivery"))},
        {
            404: _NO_DELIVERY,
            409: "An attempt is under way, or its reader wants no more.",
            429: "More than 60 resends a minute; see Retry-After.",
        },
        (_DELIVERY,),
    ),
}


def _hook_request() -> Schema:
    target = {"description": "Where to, under whichever of these names comes first."}
    return {
        "type": "object",
        "description": "A hook; fields that it does not know are passed over.",
        "properties": {
            **dict.fromkeys(TARGET_NAMES, target),
            "event": {"description": "An event, or a list of them."},
            "events": {"description": "The same, where there is no `event`."},
            "format": {"description": "The body's form; `flat` is the usual."},
            **{name: narrowings()[name] for name in ("models", "metadata")},
        },
        "allOf": [
            {"anyOf": _first_of(TARGET_NAMES, TARGETS["webhook"])},
            {"anyOf": [*_wanted([*USUAL, *_BLANKS], EventType), *_wanted(["apixo"], JOB_EVENTS)]},
        ],
    }


def _wanted(formats: list[Any], events: Iterable[str]) -> list[Schema]:
    """What these formats can tell of."""
    event = one_of("An event.", events)
    none: Schema = {"properties": {name: {"enum": _BLANKS} for name in ("event", "events")}}
    shapes = [*_first_of(("event", "events"), {"anyOf": [event, list_of(event)]}), none]
    needed = [] if None in formats else ["format"]
    return [
        {
            "properties": shape["properties"] | {"format": {"enum": formats}},
            "required": [*shape.get("required", []), *needed],
        }
        for shape in shapes
    ]


def _first_of(names: tuple[str, ...], schema: Schema) -> list[Schema]:
    """One shape for each name that can come first: those before it are absent or blank."""
    return [
        {
            "properties": {before: {"enum": _BLANKS} for before in names[:place]} | {name: schema},
            "required": [name],
        }
        for place, name in enumerate(names)
    ]


#: Bodies that are the same on every server.
REQUESTS: dict[str, Schema] = {
    "NewHook": _hook_request(),
    "Rotation": {
        "type": "object",
        "properties": {"revoke": {"type": "boolean", "description": "End the old one now."}},
        "additionalProperties": False,
    },
    "SubscriptionChange": {
        "type": "object",
        "description": "Only what is to change; target and format by the channel's rules.",
        "properties": {
            "enabled": {"type": ["boolean", "null"], "description": "On or off."},
            "target": text("Where to.", pattern=r"\S"),
            "format": {"enum": [*FORMATS, *_BLANKS], "description": "The body's form."},
            **narrowings(),
        },
        "additionalProperties": False,
    },
    "Samples": list_of(things("As it would be pushed in that format."), minItems=1),
}
