"""Kling itself: all its current models, by unit prices."""

from __future__ import annotations

from typing import Any

from service.catalogue.entries import (
    LONG,
    SHORT,
    Parameter,
    Rate,
    Vendor,
    aspect_ratio,
    audio,
    called_back_model,
    camera,
    cfg_scale,
    duration,
    first_frame,
    last_frame,
    negative_prompt,
    prompt,
    resolution,
)

UNIT = 0.14
#: What only the older routes take.
OLD_ONLY = ("negative_prompt", "cfg_scale", "camera_control_type")
_OLD = (negative_prompt(), cfg_scale(None), *camera())
_HD = ("720p", "1080p")


def _rate(units: float, **when: Any) -> Rate:
    dollars = round(units * UNIT, 6)
    return Rate(dollars, dollars, when)


def _inputs(
    lengths: tuple[int, ...], sizes: tuple[str, ...], *more: Parameter, longest: int = 2500
) -> tuple[Parameter, ...]:
    return (
        prompt(longest),
        duration(5, lengths),
        aspect_ratio(),
        resolution(*sizes),
        first_frame("first_frame"),
        last_frame("last_frame", "first_frame", ("resolution", ("1080p",))),
        *more,
    )


VENDOR = Vendor(
    name="kling",
    title="Kling",
    base_url="https://api-singapore.klingai.com",
    signs=True,
    lookup="external_task_id",
    refuses_duplicates=True,
    history="list of tasks",
    units={"unit": UNIT},
    models=(
        called_back_model(
            "kling",
            "kling-2.5-turbo",
            "Kling 2.5 Turbo",
            _inputs(SHORT, _HD, *_OLD),
            (_rate(0.3, resolution="720p"), _rate(0.5, resolution="1080p")),
            "kling-v2-5-turbo",
        ),
        called_back_model(
            "kling",
            "kling-2.6",
            "Kling 2.6",
            _inputs(SHORT, _HD, audio("audio"), *_OLD),
            (_rate(1.0, audio=True), _rate(0.3, resolution="720p"), _rate(0.5, resolution="1080p")),
            "kling-v2-6",
        ),
        called_back_model(
            "kling",
            "kling-3.0",
            "Kling 3.0",
            _inputs(LONG, (*_HD, "4k"), audio("audio"), longest=3072),
            (
                _rate(0.6, resolution="720p", audio=False),
                _rate(0.8, resolution="1080p", audio=False),
                _rate(3.0, resolution="4k", audio=False),
                _rate(0.9, resolution="720p", audio=True),
                _rate(1.2, resolution="1080p", audio=True),
            ),
        ),
        called_back_model(
            "kling",
            "kling-3.0-turbo",
            "Kling 3.0 Turbo",
            _inputs(LONG, _HD, longest=3072),
            (_rate(0.8, resolution="720p"), _rate(1.0, resolution="1080p")),
        ),
    ),
)
