"""OpenRouter: Kling 3.0 in two qualities, billed in dollars."""

from __future__ import annotations

from service.catalogue.entries import (
    LONG,
    Rate,
    Vendor,
    aspect_ratio,
    audio,
    called_back_model,
    duration,
    first_frame,
    last_frame,
    mode,
    prompt,
)

_INPUTS = (
    prompt(),
    duration(5, LONG),
    aspect_ratio(),
    mode("std", "pro"),
    audio("generate_audio"),
    first_frame("first_frame"),
    last_frame("last_frame", "first_frame"),
)

VENDOR = Vendor(
    name="openrouter",
    title="OpenRouter",
    base_url="https://openrouter.ai",
    signs=True,
    models=(
        called_back_model(
            "openrouter",
            "kling-3.0",
            "Kling 3.0",
            _INPUTS,
            (Rate(0.126, 0.126, {"mode": "std", "generate_audio": False}),),
            "kwaivgi/kling-v3.0",
        ),
    ),
)
