"""A landscape at dusk: sky, sun, and hills one behind another."""

from __future__ import annotations

import math
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]

#: Sky from top to horizon, the light in it, and the nearest hill.
PALETTES: tuple[tuple[Colour, Colour, Colour, Colour], ...] = (
    ((38, 32, 84), (255, 176, 120), (255, 232, 190), (22, 16, 40)),
    ((16, 44, 84), (250, 206, 150), (255, 244, 214), (10, 26, 44)),
    ((8, 12, 38), (92, 110, 168), (236, 242, 255), (6, 9, 26)),
    ((70, 22, 58), (255, 166, 84), (255, 226, 160), (34, 10, 30)),
    ((10, 34, 48), (150, 206, 172), (240, 255, 226), (5, 22, 30)),
)
HILLS = 4


def draw_landscape(size: tuple[int, int], seed: str) -> Image.Image:
    """An RGB picture of this size in pixels; the same seed gives the same one."""
    dice = Random(seed)  # noqa: S311 - a picture, not a secret
    top, horizon, light, near = dice.choice(PALETTES)
    slope = Image.linear_gradient("L").resize(size)
    image = Image.composite(Image.new("RGB", size, horizon), Image.new("RGB", size, top), slope)
    image.paste(light, mask=_sun(size, dice))
    for place in range(HILLS):
        paint = Image.blend(
            Image.new("RGB", size, horizon), Image.new("RGB", size, near), (place + 1) / HILLS
        )
        image.paste(paint, mask=_hill(size, place, dice))
    return image


def _sun(size: tuple[int, int], dice: Random) -> Image.Image:
    x, y = size[0] * dice.uniform(0.25, 0.75), size[1] * dice.uniform(0.3, 0.42)
    mask = Image.new("L", size)
    for share, strength in ((0.4, 110), (0.06, 255)):
        reach = share * size[1]
        disc = Image.new("L", size)
        ImageDraw.Draw(disc).ellipse((x - reach, y - reach, x + reach, y + reach), strength)
        mask = ImageChops.lighter(mask, disc.filter(ImageFilter.BoxBlur(reach / 3)))
    return mask


def _hill(size: tuple[int, int], place: int, dice: Random) -> Image.Image:
    """The mask of the hill at that place, from 0 for the farthest; nearer ones are wider."""
    width, height = size
    waves = [(dice.uniform(0.3, 1.0) / n, dice.uniform(0, math.tau), n) for n in range(1, 6)]
    crest = []
    for x in range(0, width + 8, 8):
        angle = x / height * (4 - 0.7 * place)
        level = sum(weight * math.sin(angle * n + phase) for weight, phase, n in waves)
        crest.append((x, height * (0.56 + 0.12 * place - 0.06 * level)))
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon([(0, height), *crest, (width, height)], 255)
    return mask
