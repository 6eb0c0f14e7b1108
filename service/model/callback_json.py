"""The JSON of callbacks, and of those that were rejected; see `job_json`."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from service.formatting import iso
from service.model import (
    CALLBACK_BYTES,
    Callback,
    CallbackState,
    Rejection,
)
from service.model.codings import content_of
from service.model.json_types import (
    CallbackId,
    Encoding,
    JobId,
    Moment,
    ProviderName,
    about,
    text_or_base64,
)


class CallbackJson(TypedDict):
    """One POST of a vendor to a signed URL of ours."""

    id: Annotated[CallbackId, about("The callback's id.")]
    job_id: Annotated[JobId, about("The job that the URL names.")]
    provider: Annotated[ProviderName, about("The vendor.")]
    state: Annotated[CallbackState, about("Its state.", CallbackState.PROCESSED.value)]
    note: Annotated[str, about("The result of processing it.", "succeeded, confirmed")]
    repeats: Annotated[int, about("The number of times that the same bytes arrived again.", 0)]
    bytes: Annotated[int, about("The size of its body.", 37)]
    sha256: Annotated[str, about("The SHA-256 of its body, in hex.", "9f" * 32)]
    received_at: Annotated[Moment, about("The time of its arrival.")]


def callback_json(callback: Callback) -> CallbackJson:
    """A stored callback, without its headers and body."""
    return {
        "id": callback.id,
        "job_id": callback.job_id,
        "provider": callback.provider,
        "state": callback.state,
        "note": callback.note,
        "repeats": callback.repeats,
        "bytes": len(callback.body),
        "sha256": callback.digest,
        "received_at": iso(callback.received_at),
    }


class CallbackWithContentJson(CallbackJson):
    """A callback with its headers and body."""

    headers: Annotated[dict[str, str], about("Its headers.", {"Content-Type": "application/json"})]
    encoding: Annotated[Encoding, about("The encoding of `body`.")]
    body: Annotated[
        str, about("Its body, as it was received.", '{"taskId":"t1","state":"success"}')
    ]
    decoded: Annotated[
        str | None,
        about("Its body as text, if it was compressed, for example with gzip.", None),
    ]


def full_callback_json(callback: Callback) -> CallbackWithContentJson:
    """
    A stored callback with its headers and its body as it came.

    The body is text, or base64 where it is none; `decoded` is the text of one that came
    in a content coding such as gzip, else None.
    """
    encoding, body = text_or_base64(callback.body)
    content = content_of(callback.headers, callback.body, CALLBACK_BYTES)
    return {
        **callback_json(callback),
        "headers": callback.headers,
        "encoding": encoding,
        "body": body,
        "decoded": None if content == callback.body else content.decode("utf-8", "replace"),
    }


class RejectionJson(TypedDict):
    """A rejected callback."""

    id: Annotated[str, about("Its id.", "0198f3c2a1b47d6e9f00112233445566")]
    reason: Annotated[str, about("The reason.", "expired")]
    remote: Annotated[str, about("The address that sent it.", "192.0.2.7")]
    received_at: Annotated[Moment, about("The time of its arrival.")]


def rejection_json(rejection: Rejection) -> RejectionJson:
    """A rejected callback."""
    return {
        "id": rejection.id,
        "reason": rejection.reason,
        "remote": rejection.remote,
        "received_at": iso(rejection.received_at),
    }
