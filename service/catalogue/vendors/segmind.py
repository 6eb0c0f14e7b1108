"""Segmind: three Kling models, polled or held on one call."""

from __future__ import annotations

from service.catalogue.entries import (
    Model,
    Parameter,
    Vendor,
    aspect_ratio,
    camera,
    cfg_scale,
    duration,
    last_frame,
    mode,
    negative_prompt,
    prompt,
)

_OLD = "it rests on a Kling version that Kling ended on 2026-09-15: Segmind may refuse it"


def _first_frame(name: str) -> Parameter:
    return Parameter(name, "image", "First frame.", absent=(None, "", 1))


VENDOR = Vendor(
    name="segmind",
    title="Segmind",
    base_url="https://api.segmind.com",
    models=(
        Model(
            slug="kling-2.5-turbo",
            title="Kling 2.5 Turbo",
            provider="segmind",
            parameters=(
                prompt(),
                duration(10),
                aspect_ratio(),
                cfg_scale(0.7),
                mode("pro"),
                negative_prompt(),
                _first_frame("image_url"),
                last_frame("tail_image_url", "image_url"),
            ),
            expected_seconds={5: 134.32, 10: 134.32},
            price_min=0.44,
            price_max=0.88,
            prices={("pro", 5): 0.44, ("pro", 10): 0.88},
            poll_after=20.0,
            poll_every=3.0,
        ),
        Model(
            slug="kling-text2video",
            title="Kling text to video",
            provider="segmind",
            parameters=(
                prompt(),
                duration(5),
                aspect_ratio(),
                cfg_scale(0.5),
                mode("std", "pro"),
                negative_prompt(),
                *camera(),
            ),
            expected_seconds={5: 320.06, 10: 320.06},
            price_min=0.28,
            price_max=1.96,
            prices={("std", 5): 0.28, ("pro", 10): 1.96},
            poll_after=30.0,
            notice=_OLD,
            successor="kling-2.5-turbo",
        ),
        Model(
            slug="kling-2",
            title="Kling 2.0",
            provider="segmind",
            parameters=(
                prompt(),
                duration(5),
                aspect_ratio(),
                cfg_scale(0.5),
                negative_prompt(),
                _first_frame("start_image"),
            ),
            expected_seconds={5: 317.18, 10: 317.18},
            price_min=1.75,
            price_max=3.50,
            prices={("", 5): 1.75, ("", 10): 3.50},
            poll_after=30.0,
            notice=_OLD,
            successor="kling-2.5-turbo",
        ),
    ),
)
