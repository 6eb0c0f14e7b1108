"""
A landscape at dusk: sky, sun, hills one behind another, fireflies.

Everything is drawn once, seeded by the prompt; a frame is only pasting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFilter

from service.sandbox.rendering.picture import Colour, Mask, Picture, Size, mixed


@dataclass(frozen=True)
class Palette:
    """Sky from top to horizon, the light in it, and the nearest hill."""

    top: Colour
    horizon: Colour
    light: Colour
    near: Colour


PALETTES = (
    Palette((38, 32, 84), (255, 176, 120), (255, 232, 190), (22, 16, 40)),
    Palette((16, 44, 84), (250, 206, 150), (255, 244, 214), (10, 26, 44)),
    Palette((8, 12, 38), (92, 110, 168), (236, 242, 255), (6, 9, 26)),
    Palette((70, 22, 58), (255, 166, 84), (255, 226, 160), (34, 10, 30)),
    Palette((10, 34, 48), (150, 206, 172), (240, 255, 226), (5, 22, 30)),
    Palette((54, 54, 112), (246, 196, 206), (255, 240, 236), (30, 26, 62)),
)
HILLS = 4


@dataclass(frozen=True)
class Layer:
    """A moving strip: what shows, through which mask, where, and its speed in pixels a frame."""

    paint: Picture
    mask: Mask
    top: int
    speed: float

    @classmethod
    def draw(cls, size: Size, frames: int, palette: Palette, place: int, dice: Random) -> Layer:
        """The hill at that place, from 0 for the farthest; nearer ones are darker and faster."""
        nearness = place / (HILLS - 1)
        speed = (place + 0.5) * size[1] / 720
        top = even(size[1] * (0.46 + 0.13 * place))
        width, height = even(size[0] + speed * frames + 4), size[1] - top
        waves = [(dice.uniform(0.4, 1.0) / n, dice.uniform(0, math.tau), n) for n in range(1, 7)]
        total, rise = sum(weight for weight, _, _ in waves), size[1] * 0.2
        length = rise * (9 - place)
        outline: list[tuple[float, float]] = []
        for x in range(0, width + 8, 8):
            level = sum(w * math.sin(x / length * math.tau * n + phase) for w, phase, n in waves)
            outline.append((x, rise * (0.5 - 0.5 * level / total)))
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).polygon([(0, height), *outline, (width, height)], 255)
        crest = mixed(mixed(palette.horizon, palette.near, 0.2), palette.near, nearness**0.8)
        foot = mixed(crest, palette.horizon, 0.5 * (1 - nearness))
        paint = Picture.from_rgb(_gradient((size[0], height), crest, foot))
        return cls(paint, Mask.of(mask), top, speed)


@dataclass(frozen=True)
class Particle:
    """A point of light that wanders round its home; lengths in pixels, rates in radians a frame."""

    sprite: Picture
    mask: Mask
    home: tuple[float, float]
    reach: float
    rate: float
    phase: float


@dataclass(frozen=True)
class Landscape:
    """Frames of one landscape of a fixed size and length."""

    sky: Picture
    layers: tuple[Layer, ...]
    particles: tuple[Particle, ...]

    @classmethod
    def draw(cls, size: Size, frames: int, seed: int) -> Landscape:
        """All layers for `frames` frames of this (even) size; the same seed, the same land."""
        dice = Random(seed)  # noqa: S311 - a picture, not a secret
        palette = dice.choice(PALETTES)
        sky = _gradient(size, palette.top, palette.horizon)
        x, y = size[0] * dice.uniform(0.22, 0.78), size[1] * dice.uniform(0.3, 0.45)
        for radius, strength in ((0.5, 90), (0.2, 130), (0.06, 255)):
            reach = radius * size[1]
            mask = Image.new("L", size)
            ImageDraw.Draw(mask).ellipse((x - reach, y - reach, x + reach, y + reach), strength)
            soft = mask.filter(ImageFilter.GaussianBlur(reach / 2 if strength < 255 else 1))
            sky.paste(palette.light, (0, 0), soft)
        hills = [Layer.draw(size, frames, palette, place, dice) for place in range(HILLS)]
        dust = particles(size, palette.light, 34, dice)
        return cls(Picture.from_rgb(sky), tuple(hills), tuple(dust))

    def picture(self, index: int) -> Picture:
        """Frame `index`, from 0."""
        canvas = self.sky.copy()
        for layer in self.layers:
            mask = layer.mask.crop(int(layer.speed * index), canvas.size[0])
            canvas.paste(layer.paint, (0, layer.top), mask)
        scatter(canvas, self.particles, index)
        return canvas


def _gradient(size: Size, top: Colour, bottom: Colour) -> Image.Image:
    column = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), column)


def particles(size: Size, colour: Colour, count: int, dice: Random) -> Iterator[Particle]:
    """Fireflies over the lower two thirds of a frame of this size."""
    for _ in range(count):
        radius = max(2, round(dice.choice((2, 3, 3, 4, 9)) * size[1] / 720))
        dot = Image.new("L", (radius * 4, radius * 4))
        ImageDraw.Draw(dot).ellipse((radius, radius, radius * 3, radius * 3), dice.randint(60, 220))
        yield Particle(
            sprite=Picture.plain(dot.size, colour),
            mask=Mask.of(dot.filter(ImageFilter.GaussianBlur(radius * 0.6))),
            home=(dice.random() * size[0], size[1] * dice.uniform(0.34, 0.98)),
            reach=size[1] * dice.uniform(0.03, 0.11),
            rate=dice.uniform(0.012, 0.04),
            phase=dice.uniform(0, math.tau),
        )


def scatter(canvas: Picture, dust: tuple[Particle, ...], index: int) -> None:
    """Paint the particles where they are at frame `index`."""
    for particle in dust:
        angle = particle.phase + particle.rate * index
        x = particle.home[0] + particle.reach * 1.6 * math.cos(angle)
        y = particle.home[1] + particle.reach * math.sin(angle * 1.7) - index * 0.12
        canvas.paste(particle.sprite, (even(x), even(y)), particle.mask)


def even(length: float) -> int:
    """The length in pixels, rounded down to what the codec's chroma planes can halve."""
    return int(length) // 2 * 2
