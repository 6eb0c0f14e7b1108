"""
The shapes of the catalogue: a vendor, a model as this vendor sells it, and its inputs.

Also the few inputs that most vendors word alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

ASPECT_RATIOS = ("16:9", "9:16", "1:1")
#: Seconds of video: of Kling up to 2.6, and from 3.0 on.
SHORT, LONG = (5, 10), tuple(range(3, 16))
CAMERA_AXES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")
CAMERA_TYPES = ("simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward")
PROMPT_LENGTH = 2500


@dataclass(frozen=True)
class Parameter:
    """
    One input of a model, under its documented name.

    `kind` is ``text``, ``number``, ``integer``, ``flag``, ``image`` or ``images``;
    `choices` closes the set; `low` and `high` are inclusive. `absent` lists
    values that the vendors' documents use for "not given". `aliases` are other vendors'
    names for the same thing, accepted here too; `needs` names another input without which
    this one makes no sense, `only_with` the values of another that allow it, `excludes` one
    that says something else.
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
    aliases: tuple[str, ...] = ()
    needs: str = ""
    only_with: tuple[str, tuple[Any, ...]] | None = None
    excludes: str = ""


@dataclass(frozen=True)
class Rate:
    """Dollars per second of video, lowest and highest, for inputs with all of these values."""

    low: float
    high: float
    when: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """
    One model as one vendor sells it.

    Prices are US dollars per video, lowest and highest, ``None`` where the
    vendor states none; `prices` maps (mode, seconds) where it is known
    exactly, and of `rates` the first that fits the input counts. `expected_seconds` is
    the vendor's own figure by duration; `calls_back` says whether the vendor tells us the
    end, or has to be asked. `wire` is the vendor's own name for the model where it is not
    `slug`. From `ends` on it is refused, and `successor` named; `notice` is a warning that
    people see beforehand.
    """

    slug: str
    title: str
    provider: str
    parameters: tuple[Parameter, ...]
    expected_seconds: dict[int, float]
    price_min: float | None = None
    price_max: float | None = None
    prices: dict[tuple[str, int], float] = field(default_factory=dict)
    rates: tuple[Rate, ...] = ()
    poll_after: float = 30.0
    poll_every: float = 5.0
    calls_back: bool = False
    routes: tuple[str, ...] = ("auto",)
    wire: str = ""
    ends: date | None = None
    successor: str = ""
    notice: str = ""

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((p for p in self.parameters if p.name == name), None)

    def expected(self, values: dict[str, Any]) -> float:
        """Seconds that the vendor says this input takes."""
        return self.expected_seconds[values["duration"]]

    def price_range(self, values: dict[str, Any]) -> tuple[float | None, float | None]:
        """Lowest and highest price of this input in dollars; None where nobody states it."""
        exact = self.prices.get((values.get("mode") or "", values["duration"]))
        if exact is not None:
            return exact, exact
        for rate in self.rates:
            if all(values.get(name) == value for name, value in rate.when.items()):
                seconds = values["duration"]
                return round(rate.low * seconds, 6), round(rate.high * seconds, 6)
        return self.price_min, self.price_max

    def price_span(self) -> tuple[float | None, float | None]:
        """Lowest and highest price of any input in dollars; None where nobody states it."""
        if not self.rates:
            return self.price_min, self.price_max
        lengths = self.expected_seconds
        low = min(rate.low for rate in self.rates) * min(lengths)
        high = max(rate.high for rate in self.rates) * max(lengths)
        return round(low, 6), round(high, 6)

    def warning(self, today: date) -> str:
        """What people should know before they rely on it; blank for nothing."""
        instead = f"; use {self.successor}" if self.successor else ""
        if self.ends:
            tense = "ends" if today < self.ends else "ended"
            return f"{self.slug} {tense} at {self.provider} on {self.ends:%Y-%m-%d}{instead}"
        return f"{self.notice}{instead}" if self.notice else ""


@dataclass(frozen=True)
class Limits:
    """A vendor's limits per key: requests a minute and open tasks; None if it states none."""

    requests_per_minute: float | None = None
    tasks: int | None = None


@dataclass(frozen=True)
class Vendor:
    """
    Who sells models: its name in settings and jobs, and where its API is.

    `signs` says that its callbacks are signed with a secret that both know; `units` are the
    dollars of each unit that it bills in, where it states them. `lookup` names what a create
    that was not answered is found by, if anything; where the vendor also
    `refuses_duplicates`, it may be repeated once nothing was found. `history` names its list
    of past tasks, if any. `limits` are those of our account there. `proven` says whether the
    adapter has been run against the live API.
    """

    name: str
    title: str
    base_url: str
    models: tuple[Model, ...]
    signs: bool = False
    lookup: str = ""
    refuses_duplicates: bool = False
    history: str = ""
    units: dict[str, float] = field(default_factory=dict)
    limits: Limits = Limits()
    proven: bool = False


def prompt(max_length: int = PROMPT_LENGTH) -> Parameter:
    """A description of the video."""
    return Parameter("prompt", "text", "A description of the video.", True, max_length=max_length)


def negative_prompt() -> Parameter:
    """What the video must not show."""
    note = "What the video must not show."
    return Parameter("negative_prompt", "text", note, max_length=PROMPT_LENGTH)


def aspect_ratio() -> Parameter:
    """The frame's shape."""
    note = "Shape of the frame; a given image decides it instead."
    return Parameter("aspect_ratio", "text", note, default="16:9", choices=ASPECT_RATIOS)


def duration(default: int, choices: tuple[int, ...] = (5, 10)) -> Parameter:
    """Seconds of video."""
    note = "Seconds of video; always sent, since it sets the price."
    return Parameter("duration", "integer", note, default=default, choices=choices)


def cfg_scale(
    default: float | None, step: float | None = None, name: str = "cfg_scale"
) -> Parameter:
    """How closely the video follows the prompt."""
    note = "How closely the video follows the prompt."
    aliases = () if name == "cfg_scale" else ("cfg_scale",)
    return Parameter(
        name, "number", note, default=default, low=0, high=1, step=step, aliases=aliases
    )


def mode(*choices: str) -> Parameter:
    """Quality, the first being the default."""
    return Parameter("mode", "text", "Quality.", default=choices[0], choices=choices)


def resolution(*choices: str, default: str = "1080p") -> Parameter:
    """Lines of the frame's shorter side."""
    note = "Size of the frame; it sets the price."
    return Parameter("resolution", "text", note, default=default, choices=choices)


def audio(name: str) -> Parameter:
    """Whether the video has sound."""
    note = "Whether it has sound; it sets the price."
    aliases = tuple({"audio", "generate_audio", "enable_audio"} - {name})
    return Parameter(name, "flag", note, default=False, choices=(False, True), aliases=aliases)


def camera() -> tuple[Parameter, ...]:
    """How the camera moves."""
    axis, value = "camera_control_config", "camera_control_config_value"
    note = "The axis of the movement; only with type `simple`."
    return (
        Parameter("camera_control_type", "text", "Camera movement.", choices=CAMERA_TYPES),
        Parameter(axis, "text", note, choices=CAMERA_AXES),
        Parameter(value, "integer", "The distance along that axis.", low=-10, high=10),
    )


def first_frame(name: str) -> Parameter:
    """The image that it begins with."""
    aliases = tuple({"image_url", "start_image"} - {name})
    return Parameter(name, "image", "First frame.", absent=(None, "", 1), aliases=aliases)


def last_frame(
    name: str, first: str, only_with: tuple[str, tuple[Any, ...]] | None = None
) -> Parameter:
    """The image that it ends with."""
    aliases = tuple({"tail_image_url", "end_image"} - {name})
    note = f"Last frame; needs {first}."
    return Parameter(
        name, "image", note, absent=(None, "", 1), aliases=aliases, needs=first, only_with=only_with
    )


def usual_inputs(
    lengths: tuple[int, ...],
    first: str,
    last: str,
    guidance: str = "cfg_scale",
) -> tuple[Parameter, ...]:
    """What most vendors of Kling take, under their own names for frames and guidance."""
    return (
        prompt(),
        duration(5, lengths),
        aspect_ratio(),
        negative_prompt(),
        cfg_scale(None, name=guidance),
        first_frame(first),
        last_frame(last, first),
    )


def called_back_model(
    provider: str,
    slug: str,
    title: str,
    parameters: tuple[Parameter, ...],
    rates: tuple[Rate, ...] = (),
    wire: str = "",
    expected_seconds: dict[int, float] | None = None,
) -> Model:
    """
    A model whose vendor calls back, and is asked now and then after five minutes.

    Args:
        expected_seconds: by length; where the vendor gives no figure, as long as other sellers
            of the model say.
    """
    lengths = next(p.choices for p in parameters if p.name == "duration")
    return Model(
        slug=slug,
        title=title,
        provider=provider,
        parameters=parameters,
        expected_seconds=expected_seconds or {n: 120.0 + 6.0 * n for n in lengths},
        rates=rates,
        poll_after=300.0,
        poll_every=10.0,
        calls_back=True,
        wire=wire,
    )
