"""The words in the picture: prompt, label, what was to be left out, and a progress line."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from service.sandbox.rendering.picture import Mask, Picture, Size

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
LINES = 3
FADE_FRAMES = 12


@dataclass(frozen=True)
class Caption:
    """Text and shade for the lower part of a frame, drawn once."""

    ink: Picture
    ink_mask: Mask
    shade: Picture
    shade_mask: Mask
    top: int
    line: tuple[int, int, int]

    @classmethod
    def draw(cls, size: Size, prompt: str, label: str, avoided: str) -> Caption:
        """Sets the text for frames of this (even) size; long prompts end in an ellipsis."""
        height = size[1] // 4 * 2
        band = (size[0], height)
        margin, baseline = _margin(size), height - _margin(size) // 2 * 2
        text = _text_mask(band, prompt, label, avoided)
        shadow = text.filter(ImageFilter.GaussianBlur(max(1.0, min(size) / 240)))
        veil = Image.linear_gradient("L").resize(band).point([n * 150 // 255 for n in range(256)])
        return cls(
            Picture.plain(band, (255, 252, 244)),
            Mask.of(text),
            Picture.plain(band, (4, 4, 10)),
            Mask.of(ImageChops.lighter(veil, shadow)),
            size[1] - height,
            (margin, size[1] - height + baseline, size[0] - 2 * margin),
        )

    def write(self, canvas: Picture, index: int, frames: int) -> None:
        """Puts the words on frame `index` of `frames`; they fade in at the start."""
        share = min(1.0, (index + 1) / FADE_FRAMES)
        for paint, mask in ((self.shade, self.shade_mask), (self.ink, self.ink_mask)):
            canvas.paste(paint, (0, self.top), mask if share == 1 else mask.faded(share))
        self._progress(canvas, (index + 1) / frames)

    def _progress(self, canvas: Picture, share: float) -> None:
        left, top, length = self.line
        thickness = max(2, canvas.size[1] // 240)
        luma = canvas.planes[0]
        rail = luma.crop((left, top, left + length, top + thickness))
        luma.paste(rail.point([(n * 3 + 235) // 4 for n in range(256)]), (left, top))
        luma.paste(232, (left, top, left + round(length * share), top + thickness))


def _margin(size: Size) -> int:
    return max(8, min(size) // 14) // 2 * 2


def _text_mask(band: Size, prompt: str, label: str, avoided: str) -> Image.Image:
    """White text on black, laid out upwards from the lower left corner."""
    short = min(band[0], band[1] * 2)
    mask = Image.new("L", band)
    pen = ImageDraw.Draw(mask)
    margin = _margin((band[0], band[1] * 2))
    large, small = ImageFont.load_default(short / 17), ImageFont.load_default(short / 36)
    y = band[1] - margin * 1.45
    if avoided:
        y -= short / 22
        pen.text(
            (margin, y), _fitted("without " + avoided, small, band[0] - 2 * margin), 165, small
        )
    for line in reversed(_wrapped(prompt, large, min(band[0] - 2 * margin, short * 1.45))):
        y -= short / 14
        pen.text((margin, y), line, 255, large)
    pen.text((margin + 1, y - short / 22), label, 190, small)
    return mask


def _wrapped(text: str, font: Font, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > LINES:
        lines[LINES - 1 :] = [lines[LINES - 1] + "…"]
    return [_fitted(line, font, width) for line in lines]


def _fitted(line: str, font: Font, width: float) -> str:
    """The line, cut with an ellipsis where it is too long."""
    if font.getlength(line) <= width:
        return line
    line = line[: int(len(line) * width / font.getlength(line)) + 1]
    while line and font.getlength(line + "…") > width:
        line = line[:-1]
    return line.rstrip(" …") + "…"
