"""Kling itself: all its current models, by unit prices."""

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
    resolution,
)
from service.catalogue.vendors.segmind import CAMERA_AXES, CAMERA_TYPES

UNIT = 0.14
_LONG = tuple(range(3, 16))
#: What only the older routes take.
OLD_ONLY = ("negative_prompt", "cfg_scale", "camera_control_type")
_CAMERA = (
    Parameter("camera_control_type", "text", "Camera movement.", choices=CAMERA_TYPES),
    Parameter(
        "camera_control_config",
        "text",
        "The axis that moves; type simple only.",
        choices=CAMERA_AXES,
    ),
    Parameter(
        "camera_control_config_value", "integer", "How far along that axis.", low=-10, high=10
    ),
)
_OLD = (negative_prompt(), cfg_scale(None), *_CAMERA)
_LAST = last_frame("last_frame", "first_frame", ("resolution", ("1080p",)))


def _rate(units: float, **when: object) -> Rate:
    dollars = round(units * UNIT, 6)
    return Rate(dollars, dollars, dict(when))


def _model(
    slug: str, title: str, parameters: tuple[Parameter, ...], rates: tuple[Rate, ...], old: str = ""
) -> Model:
    lengths = next(p.choices for p in parameters if p.name == "duration")
    return Model(
        slug=slug,
        title=title,
        provider="kling",
        parameters=parameters,
        # No figure of the vendor's own: as long as other sellers of the model say.
        expected_seconds={seconds: 120.0 + 6.0 * seconds for seconds in lengths},
        rates=rates,
        poll_after=300.0,
        poll_every=10.0,
        calls_back=True,
        wire=old,
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
        _model(
            "kling-2.5-turbo",
            "Kling 2.5 Turbo",
            (
                prompt(),
                duration(5),
                aspect_ratio(),
                resolution("720p", "1080p"),
                first_frame("first_frame"),
                _LAST,
                *_OLD,
            ),
            (_rate(0.3, resolution="720p"), _rate(0.5, resolution="1080p")),
            old="kling-v2-5-turbo",
        ),
        _model(
            "kling-2.6",
            "Kling 2.6",
            (
                prompt(),
                duration(5),
                aspect_ratio(),
                resolution("720p", "1080p"),
                audio("audio"),
                first_frame("first_frame"),
                _LAST,
                *_OLD,
            ),
            (_rate(1.0, audio=True), _rate(0.3, resolution="720p"), _rate(0.5, resolution="1080p")),
            old="kling-v2-6",
        ),
        _model(
            "kling-3.0",
            "Kling 3.0",
            (
                prompt(3072),
                duration(5, _LONG),
                aspect_ratio(),
                resolution("720p", "1080p", "4k"),
                audio("audio"),
                first_frame("first_frame"),
                _LAST,
            ),
            (
                _rate(0.6, resolution="720p", audio=False),
                _rate(0.8, resolution="1080p", audio=False),
                _rate(3.0, resolution="4k", audio=False),
                _rate(0.9, resolution="720p", audio=True),
                _rate(1.2, resolution="1080p", audio=True),
            ),
        ),
        _model(
            "kling-3.0-turbo",
            "Kling 3.0 Turbo",
            (
                prompt(3072),
                duration(5, _LONG),
                aspect_ratio(),
                resolution("720p", "1080p"),
                first_frame("first_frame"),
                _LAST,
            ),
            (_rate(0.8, resolution="720p"), _rate(1.0, resolution="1080p")),
        ),
    ),
)
