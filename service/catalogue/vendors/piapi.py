"""PiAPI: Kling 2.5 Turbo, 2.6 and 3.0 behind one task API."""

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
    mode,
    negative_prompt,
    prompt,
)

_LAST = last_frame("image_tail_url", "image_url")


def _model(
    slug: str, title: str, version: str, more: tuple[Parameter, ...], rates: tuple[Rate, ...] = ()
) -> Model:
    frames = (first_frame("image_url"), _LAST)
    usual = (prompt(), duration(5), aspect_ratio(), mode("std", "pro"))
    return Model(
        slug=slug,
        title=title,
        provider="piapi",
        parameters=(*usual, negative_prompt(), cfg_scale(None), *frames, *more),
        expected_seconds={5: 180.0, 10: 240.0},
        rates=rates,
        poll_after=300.0,
        poll_every=10.0,
        calls_back=True,
        wire=version,
    )


VENDOR = Vendor(
    name="piapi",
    title="PiAPI",
    base_url="https://api.piapi.ai",
    signs=True,
    models=(
        _model("kling-2.5-turbo", "Kling 2.5 Turbo", "2.5-turbo", ()),
        _model("kling-2.6", "Kling 2.6", "2.6", (audio("enable_audio"),)),
        _model(
            "kling-3.0",
            "Kling 3.0",
            "3.0",
            (audio("enable_audio"),),
            (
                Rate(0.10, 0.10, {"mode": "std", "enable_audio": False}),
                Rate(0.20, 0.20, {"mode": "pro", "enable_audio": True}),
                Rate(0.10, 0.20),
            ),
        ),
    ),
)
