"""APIXO: its own copy of Kling 2.5 Turbo, which calls back."""

from __future__ import annotations

from service.catalogue.entries import (
    ASPECT_RATIOS,
    Limits,
    Model,
    Parameter,
    Vendor,
    cfg_scale,
    duration,
    negative_prompt,
    prompt,
)

VENDOR = Vendor(
    name="apixo",
    title="APIXO",
    base_url="https://api.apixo.ai",
    models=(
        Model(
            slug="kling-2-5-turbo-pro",
            title="Kling 2.5 Turbo Pro",
            provider="apixo",
            parameters=(
                prompt(),
                Parameter(
                    "mode",
                    "text",
                    "Default: set from the images you add.",
                    choices=("text-to-video", "image-to-video"),
                ),
                duration(5),
                Parameter(
                    "image_urls", "images", "The first frame; a second image is the last frame."
                ),
                Parameter(
                    "aspect_ratio",
                    "text",
                    "Shape of the frame; text-to-video only.",
                    choices=ASPECT_RATIOS,
                ),
                negative_prompt(),
                cfg_scale(None, step=0.1),
            ),
            expected_seconds={5: 45.0, 10: 60.0},
            routes=("auto", "value", "official"),
            # Well after the vendor's own figure, so that a poll means a callback is missing.
            poll_after=90.0,
            calls_back=True,
        ),
    ),
    limits=Limits(requests_per_minute=10_000, tasks=1000),
)
