"""OpenRouter: Kling 3.0 in two qualities, billed in dollars."""

from __future__ import annotations

from service.catalogue.entries import (
    Model,
    Rate,
    Vendor,
    aspect_ratio,
    audio,
    duration,
    first_frame,
    last_frame,
    mode,
    prompt,
)

_LONG = tuple(range(3, 16))

VENDOR = Vendor(
    name="openrouter",
    title="OpenRouter",
    base_url="https://openrouter.ai",
    signs=True,
    models=(
        Model(
            slug="kling-3.0",
            title="Kling 3.0",
            provider="openrouter",
            parameters=(
                prompt(),
                duration(5, _LONG),
                aspect_ratio(),
                mode("std", "pro"),
                audio("generate_audio"),
                first_frame("first_frame"),
                last_frame("last_frame", "first_frame"),
            ),
            expected_seconds={seconds: 120.0 + 6.0 * seconds for seconds in _LONG},
            rates=(Rate(0.126, 0.126, {"mode": "std", "generate_audio": False}),),
            poll_after=300.0,
            poll_every=10.0,
            calls_back=True,
            wire="kwaivgi/kling-v3.0",
        ),
    ),
)
