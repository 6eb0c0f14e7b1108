"""
A landscape at dusk: sky, sun or moon, clouds, hills one behind another, pines, fireflies.

Everything is drawn once, seeded by the prompt; a frame is only pasting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from service.sandbox.rendering.picture import Colour, Mask, Picture, Size, mixed


@dataclass(frozen=True)
class Palette:
    """Sky from top to horizon, the light in it, and the nearest hill."""

    top: Colour
    middle: Colour
    horizon: Colour
    light: Colour
    near: Colour
    stars: bool = False


PALETTES = (
    Palette((38, 32, 84), (156, 78, 122), (255, 176, 120), (255, 232, 190), (22, 16, 40)),
    Palette((16, 44, 84), (62, 122, 160), (250, 206, 150), (255, 244, 214), (10, 26, 44)),
    Palette((8, 12, 38), (24, 42, 92), (92, 110, 168), (236, 242, 255), (6, 9, 26), True),
    Palette((70, 22, 58), (196, 66, 70), (255, 166, 84), (255, 226, 160), (34, 10, 30)),
    Palette((10, 34, 48), (22, 96, 104), (150, 206, 172), (240, 255, 226), (5, 22, 30), True),
    Palette((54, 54, 112), (142, 122, 186), (246, 196, 206), (255, 240, 236), (30, 26, 62)),
    Palette((26, 18, 54), (84, 44, 120), (226, 112, 148), (255, 214, 196), (16, 10, 34), True),
    Palette((34, 70, 112), (122, 162, 186), (255, 226, 176), (255, 250, 226), (20, 40, 56)),
)
HILLS = 4


@dataclass(frozen=True)
class Layer:
    """A moving strip: what shows, through which mask, where, and its speed in pixels a frame."""

    paint: Picture
    mask: Mask
    top: int
    speed: float


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
        sun = (dice.uniform(0.22, 0.78), dice.uniform(0.38, 0.5))
        sky = Picture.from_rgb(_sky(size, palette, sun, dice))
        clouds = _clouds(size, frames, palette, dice)
        hills = [_hill(size, frames, palette, place, dice) for place in range(HILLS)]
        return cls(sky, (clouds, *hills), tuple(particles(size, palette.light, 34, dice)))

    def picture(self, index: int) -> Picture:
        """Frame `index`, from 0."""
        canvas = self.sky.copy()
        for layer in self.layers:
            left = int(layer.speed * index)
            mask = layer.mask.crop(left, canvas.size[0])
            canvas.paste(layer.paint, (0, layer.top), mask)
        scatter(canvas, self.particles, index)
        return canvas


def _sky(size: Size, palette: Palette, sun: tuple[float, float], dice: Random) -> Image.Image:
    width, height = size
    sky = _gradient(size, [(0.0, palette.top), (0.42, palette.middle), (0.72, palette.horizon)])
    if palette.stars:
        _stars(sky, dice)
    centre = (int(sun[0] * width), int(sun[1] * height))
    reach = (height + 2 * min(size)) / 3
    for radius, strength in ((1.15, 0.42), (0.5, 0.44), (0.22, 0.5)):
        _glow(sky, centre, int(reach * radius), palette.light, strength)
    _disc(sky, centre, reach * 0.062, palette.light)
    return _grained(sky, dice)


def _gradient(size: Size, stops: list[tuple[float, Colour]]) -> Image.Image:
    column = Image.new("RGB", (1, size[1]))
    for y in range(size[1]):
        column.putpixel((0, y), _between(stops, y / size[1]))
    return column.resize(size)


def _between(stops: list[tuple[float, Colour]], place: float) -> Colour:
    for (start, one), (end, other) in pairwise(stops):
        if place <= end:
            share = (place - start) / (end - start)
            return mixed(one, other, share * share * (3 - 2 * share))
    return stops[-1][1]


def _stars(sky: Image.Image, dice: Random) -> None:
    pen = ImageDraw.Draw(sky)
    for _ in range(150):
        x, y = dice.random() * sky.width, dice.random() ** 1.6 * sky.height * 0.6
        shade = dice.randint(120, 240)
        size = dice.choice((0.4, 0.6, 1.1)) * sky.height / 720
        pen.ellipse((x - size, y - size, x + size, y + size), (shade, shade, min(255, shade + 12)))


def _glow(sky: Image.Image, centre: Size, radius: int, colour: Colour, strength: float) -> None:
    # Pillow's gradient reaches 255 in the corners, and 180 where the circle meets the edge.
    falloff = [round(max(0, 1 - level / 180) ** 1.8 * 255 * strength) for level in range(256)]
    mask = Image.radial_gradient("L").point(falloff).resize((radius * 2, radius * 2))
    sky.paste(colour, (centre[0] - radius, centre[1] - radius), mask)


def _disc(sky: Image.Image, centre: Size, radius: float, colour: Colour) -> None:
    edge = int(radius * 2) + 4
    mask = Image.new("L", (edge * 4, edge * 4))
    middle = edge * 2
    reach = radius * 4
    box = (middle - reach, middle - reach, middle + reach, middle + reach)
    ImageDraw.Draw(mask).ellipse(box, 255)
    sky.paste(colour, (centre[0] - edge // 2, centre[1] - edge // 2), mask.reduce(4))


def _grained(image: Image.Image, dice: Random) -> Image.Image:
    """A little noise, without which eight bits show a sky in steps."""
    grain = Image.frombytes("L", image.size, dice.randbytes(image.width * image.height))
    soft = grain.point([level * 5 // 256 for level in range(256)])
    return ImageChops.subtract(ImageChops.add(image, Image.merge("RGB", [soft] * 3)), _grey(image))


def _grey(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size, (2, 2, 2))


def _clouds(size: Size, frames: int, palette: Palette, dice: Random) -> Layer:
    speed = 0.5 * size[1] / 720
    width, height = _even(size[0] + speed * frames + 4), _even(size[1] * 0.34)
    wisps = ImageChops.add(
        _noise((width, height), 150, 26, dice), _noise((width, height), 52, 11, dice), scale=2
    )
    thin = wisps.point([round(max(0.0, (level - 112) / 143) ** 1.25 * 255) for level in range(256)])
    mask = ImageChops.multiply(thin, _lens((width, height)))
    paint = Picture.plain((size[0], height), mixed(palette.horizon, palette.light, 0.45))
    return Layer(paint, Mask.of(mask), _even(size[1] * 0.06), speed)


def _noise(size: Size, wide: int, high: int, dice: Random) -> Image.Image:
    """Soft spots of about that many pixels across and down."""
    small = (max(6, size[0] // wide), max(4, size[1] // high))
    dots = Image.frombytes("L", small, dice.randbytes(small[0] * small[1]))
    return dots.resize(size, Image.Resampling.BICUBIC)


def _lens(size: Size) -> Image.Image:
    """White along the middle, black above and below."""
    column = Image.new("L", (1, size[1]))
    for y in range(size[1]):
        column.putpixel((0, y), round(255 * math.sin(math.pi * y / size[1])))
    return column.resize(size)


def _hill(size: Size, frames: int, palette: Palette, place: int, dice: Random) -> Layer:
    nearness = place / (HILLS - 1)
    speed = (place + 0.5) * size[1] / 720 if place < HILLS - 1 else 4 * size[1] / 720
    top = _even(size[1] * (0.46 + 0.13 * place))
    box = (_even(size[0] + speed * frames + 4), size[1] - top)
    rise = size[1] * (0.2 - 0.02 * place)
    mask = _ridge(box, rise, place, dice)
    air = mixed(palette.middle, palette.horizon, 0.35)
    crest = mixed(mixed(air, palette.near, 0.2), palette.near, nearness**0.8)
    foot = mixed(crest, mixed(air, palette.horizon, 0.5), 0.5 * (1 - nearness) + 0.05)
    paint = Picture.from_rgb(_gradient((size[0], box[1]), [(0.0, crest), (0.85, foot)]))
    return Layer(paint, Mask.of(mask), top, speed)


def _ridge(size: Size, rise: float, place: int, dice: Random) -> Image.Image:
    """The hill's outline, drawn at twice the size so that its edge is smooth."""
    width, height = size[0] * 2, size[1] * 2
    mask = Image.new("L", (width, height))
    pen = ImageDraw.Draw(mask)
    outline = list(_outline(width, rise * 2, place, dice))
    pen.polygon([(0, height), *outline, (width, height)], 255)
    if place >= HILLS - 2:
        _pines(pen, outline, rise * (0.3 if place == HILLS - 2 else 0.62), dice)
    return mask.reduce(2)


def _outline(width: int, rise: float, place: int, dice: Random) -> Iterator[tuple[float, float]]:
    swells = [
        (dice.uniform(0.4, 1.0) / (n + 1) ** 1.35, dice.uniform(0, math.tau)) for n in range(18)
    ]
    total = sum(weight for weight, _ in swells[:6])
    length = rise * (9 - place)
    floor = 0.55 if place >= HILLS - 2 else 0.1
    for x in range(0, width + 8, 8):
        level = sum(
            weight * math.sin(x / length * math.tau * (0.6 + 0.85 * n) + phase)
            for n, (weight, phase) in enumerate(swells)
        )
        yield x, rise * (floor + (1 - floor) * (0.5 - 0.5 * level / total))


def _pines(
    pen: ImageDraw.ImageDraw, outline: list[tuple[float, float]], tall: float, dice: Random
) -> None:
    for x, ground in outline[:: max(1, int(tall / 26))]:
        if dice.random() < 0.42:
            height = tall * dice.uniform(0.4, 1.15)
            _pine(pen, x + dice.uniform(-6, 6), ground + tall * 0.12, height)


def _pine(pen: ImageDraw.ImageDraw, x: float, ground: float, height: float) -> None:
    for tier in range(4):
        tip = ground - height * (1 - tier * 0.2)
        base = ground - height * (0.62 - tier * 0.2)
        spread = height * (0.07 + 0.055 * tier)
        pen.polygon([(x, tip), (x - spread, base), (x + spread, base)], 255)
    pen.rectangle((x - height * 0.02, ground - height * 0.2, x + height * 0.02, ground + 4), 255)


def particles(size: Size, colour: Colour, count: int, dice: Random) -> Iterator[Particle]:
    """Fireflies over the lower two thirds of a frame of this size."""
    for _ in range(count):
        radius = max(2, round(dice.choice((2, 3, 3, 4, 9)) * size[1] / 720))
        shine = 0.22 if radius > 6 * size[1] / 720 else dice.uniform(0.45, 0.9)
        mask = _soft(radius, shine)
        yield Particle(
            sprite=Picture.plain(mask.size, colour),
            mask=Mask.of(mask),
            home=(dice.random() * size[0], size[1] * dice.uniform(0.34, 0.98)),
            reach=size[1] * dice.uniform(0.03, 0.11),
            rate=dice.uniform(0.012, 0.04),
            phase=dice.uniform(0, math.tau),
        )


def _soft(radius: int, strength: float) -> Image.Image:
    edge = radius * 4
    mask = Image.new("L", (edge, edge))
    ImageDraw.Draw(mask).ellipse((radius, radius, edge - radius, edge - radius), 255)
    blurred = mask.filter(ImageFilter.GaussianBlur(radius * 0.6))
    return blurred.point([round(level * strength) for level in range(256)])


def scatter(canvas: Picture, dust: tuple[Particle, ...], index: int) -> None:
    """Paints the motes where they are at frame `index`."""
    for particle in dust:
        angle = particle.phase + particle.rate * index
        x = particle.home[0] + particle.reach * 1.6 * math.cos(angle)
        y = particle.home[1] + particle.reach * math.sin(angle * 1.7) - index * 0.12
        canvas.paste(particle.sprite, (_even(x), _even(y)), particle.mask)


def _even(length: float) -> int:
    return int(length) // 2 * 2
