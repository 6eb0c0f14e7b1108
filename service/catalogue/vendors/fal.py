"""fal: Kling 2.5 Turbo Pro and Kling 3, each as text-to-video and image-to-video."""

from __future__ import annotations

from service.catalogue.entries import (
    Model,
    Parameter,
    Rate,
    Vendor,
    aspect_ratio,
    audio,
    cfg_scale,
    duration,
    first_frame,
    last_frame,
    negative_prompt,
    prompt,
)

_LONG = tuple(range(3, 16))

VENDOR = Vendor(
    name="fal",
    title="fal",
    base_url="https://queue.fal.run",
    models=(
        Model(
            slug="kling-2.5-turbo",
            title="Kling 2.5 Turbo",
            provider="fal",
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
            rates=(Rate(0.07, 0.07),),
            poll_after=300.0,
            poll_every=10.0,
            calls_back=True,
            wire="fal-ai/kling-video/v2.5-turbo/pro",
        ),
        Model(
            slug="kling-3.0",
            title="Kling 3.0",
            provider="fal",
            parameters=(
                prompt(),
                duration(5, _LONG),
                aspect_ratio(),
                Parameter(
                    "tier", "text", "Quality.", default="standard", choices=("standard", "pro")
                ),
                audio("generate_audio"),
                negative_prompt(),
                cfg_scale(None),
                Parameter(
                    "start_image_url",
                    "image",
                    "First frame.",
                    aliases=("image_url", "start_image", "first_frame"),
                ),
            ),
            expected_seconds={seconds: 120.0 + 6.0 * seconds for seconds in _LONG},
            rates=(Rate(0.084, 0.168),),
            poll_after=300.0,
            poll_every=10.0,
            calls_back=True,
            wire="fal-ai/kling-video/v3",
        ),
    ),
)
