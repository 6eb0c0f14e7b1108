"""kie.ai: Kling 2.5 Turbo Pro, billed in credits."""

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
    name="kie",
    title="kie.ai",
    base_url="https://api.kie.ai",
    signs=True,
    units={"credit": 0.005},
    models=(
        Model(
            slug="kling-2.5-turbo",
            title="Kling 2.5 Turbo",
            provider="kie",
            parameters=(
                prompt(),
                duration(5),
                aspect_ratio(),
                negative_prompt(),
                cfg_scale(None),
                first_frame("image_url"),
                last_frame("tail_image_url", "image_url"),
            ),
            expected_seconds={5: 150.0, 10: 180.0},
            poll_after=300.0,
            poll_every=10.0,
            calls_back=True,
            wire="kling/v2-5-turbo",
        ),
    ),
)
