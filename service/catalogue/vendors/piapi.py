"""PiAPI: Kling 2.5 Turbo, 2.6 and 3.0 behind one task API."""

from __future__ import annotations

from service.catalogue.entries import (
    SHORT,
    Model,
    Rate,
    Vendor,
    audio,
    called_back_model,
    mode,
    usual_inputs,
)

_INPUTS = (*usual_inputs(SHORT, "image_url", "image_tail_url"), mode("std", "pro"))
_LOUD = (*_INPUTS, audio("enable_audio"))


def _model(version: str, title: str, loud: bool = True, rates: tuple[Rate, ...] = ()) -> Model:
    """PiAPI's own names are the versions."""
    inputs, seconds = _LOUD if loud else _INPUTS, {5: 180.0, 10: 240.0}
    return called_back_model("piapi", f"kling-{version}", title, inputs, rates, version, seconds)


VENDOR = Vendor(
    name="piapi",
    title="PiAPI",
    base_url="https://api.piapi.ai",
    signs=True,
    models=(
        _model("2.5-turbo", "Kling 2.5 Turbo", loud=False),
        _model("2.6", "Kling 2.6"),
        _model(
            "3.0",
            "Kling 3.0",
            rates=(
                Rate(0.10, 0.10, {"mode": "std", "enable_audio": False}),
                Rate(0.20, 0.20, {"mode": "pro", "enable_audio": True}),
                Rate(0.10, 0.20),
            ),
        ),
    ),
)
