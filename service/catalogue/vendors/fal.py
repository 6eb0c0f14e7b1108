"""fal: Kling 2.5 Turbo Pro and Kling 3, each as text-to-video and image-to-video."""

from __future__ import annotations

from service.catalogue.entries import (
    LONG,
    SHORT,
    Parameter,
    Rate,
    Vendor,
    aspect_ratio,
    audio,
    called_back_model,
    cfg_scale,
    duration,
    negative_prompt,
    prompt,
    usual_inputs,
)

_TIER = Parameter("tier", "text", "Quality.", default="standard", choices=("standard", "pro"))
_FIRST = Parameter(
    "start_image_url", "image", "First frame.", aliases=("image_url", "start_image", "first_frame")
)

VENDOR = Vendor(
    name="fal",
    title="fal",
    base_url="https://queue.fal.run",
    models=(
        called_back_model(
            "fal",
            "kling-2.5-turbo",
            "Kling 2.5 Turbo",
            usual_inputs(SHORT, "image_url", "tail_image_url"),
            (Rate(0.07, 0.07),),
            "fal-ai/kling-video/v2.5-turbo/pro",
            {5: 150.0, 10: 180.0},
        ),
        called_back_model(
            "fal",
            "kling-3.0",
            "Kling 3.0",
            (
                prompt(),
                duration(5, LONG),
                aspect_ratio(),
                _TIER,
                audio("generate_audio"),
                negative_prompt(),
                cfg_scale(None),
                _FIRST,
            ),
            (Rate(0.084, 0.168),),
            "fal-ai/kling-video/v3",
        ),
    ),
)
