"""The operations on callbacks, signed links and vendors, and the probes, in ``/openapi.json``."""

from __future__ import annotations

from typing import Any

from service.jobs.ledger import LedgerDayJson, UnmatchedTasksJson
from service.jobs.provider_json import ProviderJson
from service.model import CallbackState
from service.model.account_json import KeyJson, KeyWithSecretJson
from service.model.callback_json import CallbackJson, CallbackWithContentJson
from service.model.json_types import CallbackId, Moment, Page
from service.web.api.callbacks import RejectionsJson
from service.web.api.keys import NewKey
from service.web.api.service_info import HealthJson, ReadinessJson
from service.web.openapi.builders import (
    Operation,
    Response,
    Schema,
    in_header,
    in_path,
    in_query,
    search,
)
from service.web.openapi.jobs import LINK, PAGES

_CALLBACK = in_path("callback_id", CallbackId, "The callback's id.")
_NO_CALLBACK = {404: "You have no such callback."}
_NAME = in_path("name", str, "The vendor's name.")
_NO_PROVIDER = {404: "There is no such vendor with a key here."}
_TOKEN = in_path("token", str, "The signed part of the link.")
_RANGE = in_header("Range", str, "The bytes, such as `bytes=0-1023`.")
_WHOLE = ("ETag?", "Content-Disposition?", "Accept-Ranges?")
_HTML: dict[str, Schema] = {"text/html": {"type": "string"}}


def _file(kind: str, note: str, *others: str) -> dict[int, Response]:
    binary: Schema = {"type": "string", "format": "binary"}
    more, part = dict.fromkeys(others, binary), ("Content-Range", *_WHOLE)
    return {
        200: Response(note, binary, _WHOLE, content=kind, others=more),
        206: Response("The bytes of `Range`.", binary, part, content=kind, others=more),
        304: Response("The file has not changed.", headers=("ETag",)),
    }


_BY_HAND = {416: "The file is shorter than that range."}
_FORGED = "The link is not one of ours."

OPERATIONS: dict[str, Operation] = {
    "callbacks.list_callbacks": Operation(
        "Callbacks",
        {200: Response("A page of callbacks.", Page[CallbackJson], LINK)},
        parameters=(
            search("job_id", "Only callbacks of this job."),
            in_query("state", CallbackState, "Only items in this state."),
            *PAGES,
        ),
        unlisted=("rejected",),
    ),
    "callbacks.list_rejected": Operation(
        "Callbacks",
        {200: Response("A page of rejected callbacks.", RejectionsJson, LINK)},
        parameters=PAGES,
    ),
    "callbacks.get_callback": Operation(
        "Callbacks",
        {200: Response("The callback, with headers and body.", CallbackWithContentJson)},
        _NO_CALLBACK,
        (_CALLBACK,),
    ),
    "callbacks.replay": Operation(
        "Callbacks",
        {202: Response("The callback will be processed again.", CallbackJson)},
        _NO_CALLBACK,
        (_CALLBACK,),
    ),
    "callbacks.receive": Operation(
        "Signed links",
        {200: Response("The callback is stored.", dict[str, bool], example={"ok": True})},
        {
            401: "The signature is not ours.",
            404: "The job is gone.",
            410: "The URL has expired.",
            413: "The body is larger than 1 MiB.",
        },
        (_TOKEN,),
    ),
    "callbacks.check": Operation(
        "Signed links",
        {200: Response("The URL works.", dict[str, bool], example={"ok": True})},
        {
            401: "The signature is not ours.",
            404: "The job is gone.",
            410: "The URL has expired.",
        },
        (_TOKEN,),
    ),
    "videos.watch": Operation(
        "Signed links",
        _file("video/mp4", "The video; most are MP4.", "video/*")
        | {
            302: Response(
                "A redirect to the vendor's link until the copy is stored.", headers=("Location",)
            )
        },
        {
            403: _FORGED,
            404: "The video is not ready yet.",
            410: "The link has expired.",
            **_BY_HAND,
        },
        (
            _TOKEN,
            _RANGE,
            search("download", "With any value but `0` or `false`, browsers save the file."),
        ),
    ),
    "videos.poster": Operation(
        "Signed links",
        _file("image/jpeg", "A frame of the video."),
        {403: _FORGED, 404: "There is no poster.", 410: "The link has expired.", **_BY_HAND},
        (_TOKEN, _RANGE),
    ),
    "videos.image": Operation(
        "Signed links",
        _file("image/*", "The image."),
        {403: _FORGED, 404: "The image is gone.", **_BY_HAND},
        (_TOKEN, _RANGE),
    ),
    "unsubscribe.ask": Operation(
        "Signed links",
        {200: Response("A page with one button.", {"type": "string"}, content="text/html")},
        {403: _FORGED},
        (_TOKEN,),
    ),
    "unsubscribe.unsubscribe": Operation(
        "Signed links",
        {
            200: Response(
                "The address is unsubscribed (RFC 8058).",
                dict[str, bool],
                example={"unsubscribed": True},
                others=_HTML,
            )
        },
        {403: _FORGED},
        (_TOKEN,),
    ),
    "keys.list_keys": Operation("Account", {200: Response("All keys.", Page[KeyJson])}),
    "keys.create": Operation(
        "Account",
        {201: Response("The key, with its secret part.", KeyWithSecretJson)},
        body=NewKey,
        example={"name": "ci", "scopes": ["read", "submit"]},
    ),
    "keys.revoke": Operation(
        "Account",
        {204: Response("The key is revoked.")},
        {404: "You have no such key."},
        (in_path("key_id", str, "The key's id."),),
    ),
    "ledger.list_days": Operation(
        "Account",
        {200: Response("The costs, by day and vendor.", Page[LedgerDayJson])},
        parameters=(in_query("since", Moment, "The first day, as any time on it."),),
    ),
    "ledger.list_unmatched": Operation(
        "Operators",
        {200: Response("The tasks, as the vendors list them now.", UnmatchedTasksJson)},
        parameters=(in_query("since", Moment, "Only tasks made after this time."),),
    ),
    "providers.list_providers": Operation(
        "Operators", {200: Response("All vendors that have a key.", Page[ProviderJson])}
    ),
    "providers.hold": Operation(
        "Operators", {200: Response("The vendor is held.", ProviderJson)}, _NO_PROVIDER, (_NAME,)
    ),
    "providers.resume": Operation(
        "Operators",
        {200: Response("The vendor is not held any more.", ProviderJson)},
        _NO_PROVIDER,
        (_NAME,),
    ),
    "service_info.healthz": Operation(
        "Operators", {200: Response("This process answers.", HealthJson)}
    ),
    "service_info.readyz": Operation(
        "Operators",
        {
            200: Response("The service accepts and processes jobs.", ReadinessJson),
            503: Response("It does not; `checks` says why.", ReadinessJson),
        },
    ),
    "metrics.show": Operation(
        "Operators",
        {200: Response("Gauges and counters as text.", {"type": "string"}, content="text/plain")},
    ),
    "documentation.show": Operation(
        "Operators",
        {200: Response("This document.", dict[str, Any], ("ETag",), {"openapi": "3.1.0"})},
    ),
}
