"""
The models: what each takes, costs and needs.

One frozen table. Validation, `/v1/models`, the command line's help and the
sandbox's strictness are all read from it; a new model is one more entry.
Ranges and defaults are the vendors' documented ones, except that no documented
*example* (a prompt, a picture) is ever taken for a default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

ASPECT_RATIOS = ("16:9", "9:16", "1:1")
CAMERA_AXES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")
CAMERA_TYPES = ("simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward")
PROMPT_LENGTH = 2500


@dataclass(frozen=True)
class Parameter:
    """
    One input of a model, under its documented name.

    `kind` is ``text``, ``number``, ``integer``, ``image`` or ``images``;
    `choices` closes the set; `low` and `high` are inclusive. `absent` lists
    values that the vendors' documents use for "not given".
    """

    name: str
    kind: str
    note: str
    required: bool = False
    default: Any = None
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = None
    max_length: int | None = None
    absent: tuple[Any, ...] = (None, "")


@dataclass(frozen=True)
class Model:
    """
    One sold model.

    Prices are US dollars per video, lowest and highest, ``None`` where the
    vendor states none; `prices` maps (mode, seconds) where it is known
    exactly. `expected_seconds` is the vendor's own figure by duration;
    `calls_back` says whether the vendor tells us the end, or has to be asked.
    """

    slug: str
    title: str
    provider: str
    parameters: tuple[Parameter, ...]
    expected_seconds: dict[int, float]
    price_min: float | None = None
    price_max: float | None = None
    prices: dict[tuple[str, int], float] = field(default_factory=dict)
    poll_after: float = 30.0
    poll_every: float = 5.0
    calls_back: bool = False
    routes: tuple[str, ...] = ("auto",)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((p for p in self.parameters if p.name == name), None)

    def expected(self, values: dict[str, Any]) -> float:
        """Seconds that the vendor says this input takes."""
        return self.expected_seconds[values["duration"]]

    def price_range(self, values: dict[str, Any]) -> tuple[float | None, float | None]:
        """Lowest and highest price of this input in dollars; None where nobody states it."""
        exact = self.prices.get((values.get("mode") or "", values["duration"]))
        return (exact, exact) if exact is not None else (self.price_min, self.price_max)


def _prompt() -> Parameter:
    return Parameter("prompt", "text", "What the video shows.", True, max_length=PROMPT_LENGTH)


def _negative() -> Parameter:
    return Parameter("negative_prompt", "text", "What it must not show.", max_length=PROMPT_LENGTH)


def _ratio() -> Parameter:
    note = "Frame size; a given image decides it instead."
    return Parameter("aspect_ratio", "text", note, default="16:9", choices=ASPECT_RATIOS)


def _duration(default: int) -> Parameter:
    note = "Seconds of video; always sent, since it sets the price."
    return Parameter("duration", "integer", note, default=default, choices=(5, 10))


def _cfg(default: float | None, step: float | None = None) -> Parameter:
    note = "How closely the prompt is followed."
    return Parameter("cfg_scale", "number", note, default=default, low=0, high=1, step=step)


def _mode(*choices: str) -> Parameter:
    return Parameter("mode", "text", "Quality.", default=choices[0], choices=choices)


def _image(name: str, note: str) -> Parameter:
    return Parameter(name, "image", note, absent=(None, "", 1))


MODELS: dict[str, Model] = {
    model.slug: model
    for model in (
        Model(
            slug="kling-2-5-turbo-pro",
            title="Kling 2.5 Turbo Pro",
            provider="apixo",
            parameters=(
                _prompt(),
                Parameter(
                    "mode",
                    "text",
                    "Told by the images where it is left out.",
                    choices=("text-to-video", "image-to-video"),
                ),
                _duration(5),
                Parameter("image_urls", "images", "First frame, and the last one as a second."),
                Parameter(
                    "aspect_ratio", "text", "Frame size; text-to-video only.", choices=ASPECT_RATIOS
                ),
                _negative(),
                _cfg(None, step=0.1),
            ),
            expected_seconds={5: 45.0, 10: 60.0},
            routes=("auto", "value", "official"),
            # Well after the vendor's own figure, so that a poll means a callback is missing.
            poll_after=90.0,
            calls_back=True,
        ),
        Model(
            slug="kling-2.5-turbo",
            title="Kling 2.5 Turbo",
            provider="segmind",
            parameters=(
                _prompt(),
                _duration(10),
                _ratio(),
                _cfg(0.7),
                _mode("pro"),
                _negative(),
                _image("image_url", "First frame."),
                _image("tail_image_url", "Last frame; needs image_url."),
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
                _prompt(),
                _duration(5),
                _ratio(),
                _cfg(0.5),
                _mode("std", "pro"),
                _negative(),
                Parameter("camera_control_type", "text", "Camera movement.", choices=CAMERA_TYPES),
                Parameter(
                    "camera_control_config",
                    "text",
                    "The axis that moves; type simple only.",
                    choices=CAMERA_AXES,
                ),
                Parameter(
                    "camera_control_config_value",
                    "integer",
                    "How far along that axis.",
                    low=-10,
                    high=10,
                ),
            ),
            expected_seconds={5: 320.06, 10: 320.06},
            price_min=0.28,
            price_max=1.96,
            prices={("std", 5): 0.28, ("pro", 10): 1.96},
            poll_after=30.0,
        ),
        Model(
            slug="kling-2",
            title="Kling 2.0",
            provider="segmind",
            parameters=(
                _prompt(),
                _duration(5),
                _ratio(),
                _cfg(0.5),
                _negative(),
                _image("start_image", "First frame."),
            ),
            expected_seconds={5: 317.18, 10: 317.18},
            price_min=1.75,
            price_max=3.50,
            prices={("", 5): 1.75, ("", 10): 3.50},
            poll_after=30.0,
        ),
    )
}


#: A slug, with the schema of all that are sold.
ModelSlug = Annotated[str, Field(json_schema_extra={"enum": list(MODELS)})]


def model_of(slug: str) -> Model:
    """The model of a job; a blank one where a later catalogue no longer has it."""
    return MODELS.get(slug) or Model(slug, slug, "", (), {})
