"""The options of a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SandboxOptions:
    """
    Settings of one sandbox; all times in seconds.

    `folder` takes the rendered files. Without `api_keys` any non-blank key is
    good. `retry_delays` are the waits before the 2nd, 3rd, … try of a callback.
    `public_url` starts the result URLs (default: the host the request came to).
    A task takes at least `pace`; `credits` are dollars for all keys together.
    `height` is the shorter side of the videos in pixels, `frame_rate` their frames
    per second. Vendors that share a secret with their callers sign with `webhook_secret`
    (``whsec_…`` where they follow Standard Webhooks); without one they don't sign.
    """

    folder: Path
    api_keys: frozenset[str] = frozenset()
    retry_delays: tuple[float, ...] = (30.0, 60.0, 120.0)
    public_url: str | None = None
    pace: float = 0.0
    credits: float = 1000.0
    height: int = 720
    frame_rate: int = 24
    record_seconds: float = 3600.0
    requests_per_minute: int = 10_000
    concurrent_tasks: int = 1000
    hang_seconds: float = 120.0
    webhook_secret: str = ""
