"""What `/openapi.json` tells of callbacks, links, vendors and the machine's own questions."""

from __future__ import annotations

from service.model import CallbackState
from service.web.openapi.builders import (
    NO_NUL,
    Operation,
    Response,
    Schema,
    in_header,
    in_path,
    in_query,
    one_of,
    ref,
    text,
    things,
)
from service.web.openapi.jobs import LINK, PAGES, id_of, search, switch

_CALLBACK = id_of("callback_id", "cbk")
_NO_CALLBACK = "You have no such callback."
_NAME = in_path("name", text("The vendor's name."))
_NO_PROVIDER = "There is no such vendor here."
_TOKEN = in_path("token", text("The signed part of the link."))
_RANGE = in_header("Range", text("Which bytes, such as `bytes=0-1023`."))
_WHOLE = ("ETag?", "Content-Disposition?", "Accept-Ranges?")
_HTML: dict[str, Schema] = {"text/html": {"type": "string"}}


def _file(kind: str, note: str, *others: str) -> dict[int, Response]:
    binary: Schema = {"type": "string", "format": "binary"}
    more, part = dict.fromkeys(others, binary), ("Content-Range", *_WHOLE)
    return {
        200: Response(note, binary, _WHOLE, content=kind, others=more),
        206: Response("The bytes of `Range`.", binary, part, content=kind, others=more),
        304: Response("You have it already.", headers=("ETag",)),
    }


_BY_HAND = {416: "The file has no such bytes."}
_FORGED = "The link is not one of ours."

OPERATIONS: dict[str, Operation] = {
    "callbacks.list_callbacks": Operation(
        "Callbacks",
        {
            200: Response(
                "A page of them; with `rejected` of the refused ones, for operators.",
                {"anyOf": [ref("Callbacks"), ref("Rejections")]},
                LINK,
            )
        },
        parameters=(
            search("job_id", "Only those of this job."),
            in_query("state", one_of("Only those in it.", CallbackState)),
            switch("rejected", "The last 1,000 that were refused, and counts of all."),
            *PAGES,
        ),
    ),
    "callbacks.get_callback": Operation(
        "Callbacks",
        {200: Response("With headers and body.", ref("CallbackWithContent"))},
        {404: _NO_CALLBACK},
        (_CALLBACK,),
    ),
    "callbacks.replay": Operation(
        "Callbacks",
        {202: Response("It will be looked at.", ref("Callback"))},
        {404: _NO_CALLBACK},
        (_CALLBACK,),
    ),
    "callbacks.receive": Operation(
        "Signed links",
        {200: Response("It is on disk.", things("Nothing to read."), example={"ok": True})},
        {
            401: "The signature is not ours.",
            404: "The job is gone.",
            410: "The URL has expired.",
            413: "It is larger than 1 MiB.",
        },
        (_TOKEN,),
    ),
    "callbacks.check": Operation(
        "Signed links",
        {200: Response("The URL works.", things("Nothing to read."), example={"ok": True})},
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
        | {302: Response("To the vendor's link until the copy is there.", headers=("Location",))},
        {403: _FORGED, 404: "The video is not here yet.", 410: "The link has expired.", **_BY_HAND},
        (_TOKEN, _RANGE, in_query("download", text("Save it under a name.", pattern=NO_NUL))),
    ),
    "videos.poster": Operation(
        "Signed links",
        _file("image/jpeg", "A frame of the video."),
        {403: _FORGED, 404: "There is no poster.", 410: "The link has expired.", **_BY_HAND},
        (_TOKEN, _RANGE),
    ),
    "videos.image": Operation(
        "Signed links",
        _file("image/*", "An image that came inside a request."),
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
                "No more mail (RFC 8058).",
                things("Nothing to read."),
                example={"unsubscribed": True},
                others=_HTML,
            )
        },
        {403: _FORGED},
        (_TOKEN,),
    ),
    "providers.list_providers": Operation(
        "Operators", {200: Response("All that have a key.", ref("Providers"))}
    ),
    "providers.hold": Operation(
        "Operators", {200: Response("It is held.", ref("Provider"))}, {404: _NO_PROVIDER}, (_NAME,)
    ),
    "providers.resume": Operation(
        "Operators", {200: Response("It goes on.", ref("Provider"))}, {404: _NO_PROVIDER}, (_NAME,)
    ),
    "service_info.healthz": Operation(
        "Operators", {200: Response("This process answers.", ref("Health"))}
    ),
    "service_info.readyz": Operation(
        "Operators",
        {
            200: Response("Jobs are taken and worked on.", ref("Readiness")),
            503: Response("They are not; `checks` says why.", ref("Readiness")),
        },
    ),
    "metrics.show": Operation(
        "Operators",
        {200: Response("Gauges and counters as text.", {"type": "string"}, content="text/plain")},
    ),
    "documentation.show": Operation(
        "Operators", {200: Response("This document.", things("OpenAPI 3.1."), ("ETag",))}
    ),
}
