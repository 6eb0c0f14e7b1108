"""Replicate: Kling 2.5 Turbo Pro; no price is stated per video."""

from __future__ import annotations

from service.catalogue.entries import (
    Model,
    Vendor,
    aspect_ratio,
    cfg_scale,
    duration,
    first_frame,
    last_frame,
    negative_prompt,
    prompt,
)

VENDOR = Vendor(
    name="replicate",
    title="Replicate",
    base_url="https://api.replicate.com",
    signs=True,
    lookup="list of predictions",
    history="list of predictions",
    models=(
        Model(
            slug="kling-2.5-turbo",
            title="Kling 2.5 Turbo",
            provider="replicate",
            parameters=(
                prompt(),
                duration(5),
                aspect_ratio(),
                negative_prompt(),
                cfg_scale(None, name="guidance_scale"),
                first_frame("start_image"),
                last_frame("end_image", "start_image"),
            ),
            expected_seconds={5: 150.0, 10: 180.0},
            poll_after=300.0,
            poll_every=10.0,
            calls_back=True,
            wire="kwaivgi/kling-v2.5-turbo-pro",
        ),
    ),
)
