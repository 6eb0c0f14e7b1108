"""
Pictures as the codec wants them: one luma plane and two half-size chroma planes.

Composing in Y'CbCr moves 1.5 bytes a pixel instead of four and spares the
colour conversion of every frame; that is what keeps a video below a second of
CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import av
from PIL import Image

Colour = tuple[int, int, int]
Size = tuple[int, int]
Box = tuple[float, float, float, float]
Planes = tuple[Image.Image, Image.Image, Image.Image]

# BT.709, limited range: what players assume of HD video.
_MATRIX = (
    (0.1826, 0.6142, 0.0620, 16.5),
    (-0.1006, -0.3386, 0.4392, 128.5),
    (0.4392, -0.3989, -0.0403, 128.5),
)


def half(size: Size) -> Size:
    """The size of the chroma planes of a picture of this (even) size."""
    return size[0] // 2, size[1] // 2


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of `other` in `one`, 0 to 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


@dataclass(frozen=True)
class Mask:
    """How much of a pasted picture shows, 0 to 255, for luma and for chroma."""

    full: Image.Image
    half: Image.Image

    @classmethod
    def of(cls, full: Image.Image) -> Mask:
        """The mask of an ``L`` image of even size."""
        return cls(full, full.reduce(2))

    def crop(self, left: int, width: int) -> Mask:
        """The columns from `left` on (rounded down to even)."""
        left -= left % 2
        full = self.full.crop((left, 0, left + width, self.full.height))
        return Mask(full, self.half.crop((left // 2, 0, (left + width) // 2, self.half.height)))

    def faded(self, share: float) -> Mask:
        """This mask at `share` of its strength."""
        table = [round(level * share) for level in range(256)]
        return Mask(self.full.point(table), self.half.point(table))


@dataclass(frozen=True)
class Picture:
    """Three ``L`` planes: Y, Cb, Cr (4:2:0); width and height are even."""

    planes: Planes

    @classmethod
    def from_rgb(cls, image: Image.Image) -> Picture:
        """Converts an RGB image of even size."""
        luma = image.convert("L", _MATRIX[0])
        small = image.reduce(2)
        return cls((luma, small.convert("L", _MATRIX[1]), small.convert("L", _MATRIX[2])))

    @classmethod
    def plain(cls, size: Size, colour: Colour) -> Picture:
        """One colour all over."""
        return cls.from_rgb(Image.new("RGB", size, colour))

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return self.planes[0].size

    def copy(self) -> Picture:
        """A copy that can be painted on."""
        luma, blue, red = self.planes
        return Picture((luma.copy(), blue.copy(), red.copy()))

    def paste(self, other: Picture, at: Size, mask: Mask | None = None) -> None:
        """Puts `other` at the (even) place `at`, through `mask` where there is one."""
        self.planes[0].paste(other.planes[0], at, mask.full if mask else None)
        for own, its in zip(self.planes[1:], other.planes[1:], strict=True):
            own.paste(its, half(at), mask.half if mask else None)

    def blend(self, other: Picture, share: float) -> Picture:
        """`share` (0 to 1) of `other` mixed into this."""
        mix = (Image.blend(a, b, share) for a, b in zip(self.planes, other.planes, strict=True))
        luma, blue, red = mix
        return Picture((luma, blue, red))

    def seen(self, size: Size, box: Box, roll: float = 0.0) -> Picture:
        """What lies in `box` (fractions of width and height), at `size`, turned by degrees."""
        wanted = (size, half(size), half(size))
        planes = []
        for plane, small in zip(self.planes, wanted, strict=True):
            width, height = plane.size
            cut = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
            if not roll:
                planes.append(plane.resize(small, Image.Resampling.BILINEAR, cut))
                continue
            # Turned and cut at once; three times as slow as a cut alone.
            step = (cut[2] - cut[0]) / small[0]
            along, across = step * math.cos(math.radians(roll)), step * math.sin(math.radians(roll))
            middle = ((cut[0] + cut[2]) / 2, (cut[1] + cut[3]) / 2)
            left = middle[0] - (along * small[0] - across * small[1]) / 2
            top = middle[1] - (across * small[0] + along * small[1]) / 2
            shape = (along, -across, left, across, along, top)
            how = Image.Transform.AFFINE, shape, Image.Resampling.BILINEAR
            planes.append(plane.transform(small, *how))
        return Picture((planes[0], planes[1], planes[2]))

    def frame(self) -> av.VideoFrame:
        """A codec frame with these pixels."""
        frame = av.VideoFrame(*self.size, "yuv420p")
        for plane, image in zip(frame.planes, self.planes, strict=True):
            # Rows of the codec's buffers are padded; crop() pads with zeroes.
            plane.update(image.crop((0, 0, plane.line_size, image.height)).tobytes())
        return frame
