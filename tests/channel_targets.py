"""
The harness of the channels' tests: notices to tell, and targets on loopback that misbehave.
"""

from __future__ import annotations

import http.server
import io
import socket
import ssl
import threading
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from PIL import Image

from service.channels.base import Parcel
from service.failures import job_error
from service.messages import Notice
from service.model import Event, EventType, Job, JobState, Video, VideoState

T = TypeVar("T", Job, Video)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
JOB_ID = "job_0192a3b4c5d67e8f9a0b1c2d3e4f5a6b"
EVENT_ID = "evt_0192a3b4c5d67e8f9a0b1c2d3e4f5a6c"
DELIVERY_ID = "dlv_0192a3b4c5d67e8f9a0b1c2d3e4f5a6d"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLIC_URL = "https://clips.example.com"
LINK = f"{PUBLIC_URL}/v/eyJ2aWRlbyI6InZpZF8wMTkyIn0.signature"
UNSUBSCRIBE_URL = f"{PUBLIC_URL}/u/{'t' * 180}"


def _row(kind: type[T], **values: Any) -> T:
    """A row whose other columns are empty: which ones there are is not this harness's matter."""
    empty: dict[str, Any] = dict.fromkeys(kind.__dataclass_fields__)
    return kind(**(empty | values))


JOB = _row(
    Job,
    id=JOB_ID,
    model="kling-2.5-turbo",
    provider="segmind",
    input={"prompt": "A red fox runs through fresh snow", "duration": 5, "aspect_ratio": "16:9"},
    metadata={},
    state=JobState.SUCCEEDED,
    created_at=NOW,
    submitted_at=NOW + timedelta(seconds=2),
    finished_at=NOW + timedelta(seconds=74),
)
VIDEO = _row(
    Video,
    id="vid_1",
    job_id=JOB_ID,
    state=VideoState.STORED,
    poster_file="vid_1.jpg",
    seconds=5.0,
    width=1280,
    height=720,
)


def notice(kind: EventType = EventType.JOB_SUCCEEDED, **changes: Any) -> Notice:
    """A notice of that kind; `prompt` and `error` go into its job, the rest into the notice."""
    ready = kind in (EventType.JOB_SUCCEEDED, EventType.VIDEO_EXPIRING)
    prompt = changes.pop("prompt", JOB.input["prompt"])
    error = changes.pop("error", None)
    job = replace(JOB, input=JOB.input | {"prompt": prompt}, error=error)
    given: dict[str, Any] = {
        "event": Event(EVENT_ID, "acc_1", JOB_ID, kind, 1, NOW),
        "job": job,
        "video": VIDEO if ready else None,
        "link": LINK if ready else None,
        "public_url": PUBLIC_URL,
        "unsubscribe_url": UNSUBSCRIBE_URL,
    }
    return Notice(**(given | changes))


def error(code: str, message: str) -> dict[str, Any]:
    """A job's error as its row keeps it."""
    return vars(job_error(code, message))


def jpeg(size: tuple[int, int] = (640, 360)) -> bytes:
    """A poster: two colours that run into each other, so that it weighs something."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def parcel(target: str, body: bytes, now: datetime = NOW) -> Parcel:
    """One attempt."""
    return Parcel(DELIVERY_ID, EVENT_ID, target, (SECRET,), body, now)
