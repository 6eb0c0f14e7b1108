"""Where the camera looks at each moment of a move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Camera = tuple[str, int] | str | None


@dataclass(frozen=True)
class View:
    """The seen part of a stage, in fractions of its size, and a turn in degrees."""

    x: float = 0.5
    y: float = 0.5
    share: float = 1.0
    roll: float = 0.0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, kept within the stage."""
        reach = self.share / 2
        x = min(1 - reach, max(reach, self.x))
        y = min(1 - reach, max(reach, self.y))
        return x - reach, y - reach, x + reach, y + reach

    def nearer(self, factor: float) -> View:
        """The same view, showing `factor` of what it showed."""
        return View(self.x, self.y, self.share * factor, self.roll)


def _shift(strength: float, progress: float) -> float:
    return 0.5 + strength * (progress - 0.5)


# Strength is -1 to 1; a rolled picture is shown from nearer, to keep its corners out of sight.
_AXES: dict[str, Callable[[float, float], View]] = {
    "horizontal": lambda strength, now: View(x=_shift(0.25 * strength, now), share=0.75),
    "vertical": lambda strength, now: View(y=_shift(-0.25 * strength, now), share=0.75),
    "pan": lambda strength, now: View(x=_shift(0.36 * strength, now), share=0.64),
    "tilt": lambda strength, now: View(y=_shift(-0.36 * strength, now), share=0.64),
    "roll": lambda strength, now: View(share=0.7, roll=12 * strength * (2 * now - 1)),
    "zoom": lambda strength, now: View(
        share=1 - 0.4 * abs(strength) * (now if strength > 0 else 1 - now)
    ),
}

_MOVES: dict[str, Callable[[float], View]] = {
    "simple": lambda now: View(),
    "down_back": lambda now: View(y=0.38 + 0.12 * now, share=0.62 + 0.38 * now),
    "forward_up": lambda now: View(y=0.5 - 0.14 * now, share=1 - 0.4 * now),
    "right_turn_forward": lambda now: View(x=0.5 + 0.2 * now, share=0.95 - 0.35 * now),
    "left_turn_forward": lambda now: View(x=0.5 - 0.2 * now, share=0.95 - 0.35 * now),
}


def view_at(camera: Camera, progress: float) -> View:
    """The view at `progress` (0 to 1) of a camera's move; the whole stage without one."""
    if camera is None:
        return View()
    if isinstance(camera, str):
        return _MOVES[camera](progress)
    axis, value = camera
    return _AXES[axis](value / 10, progress)
