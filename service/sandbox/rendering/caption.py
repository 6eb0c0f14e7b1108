"""The words in the picture: prompt, label, what was to be left out, and a progress line."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from service.sandbox.rendering.planes import WHITE, Size

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
LINES = 3


@dataclass(frozen=True)
class Caption:
    """Text and shade for the lower half of a frame, drawn once."""

    ink: Image.Image
    shade: Image.Image
    margin: int

    @classmethod
    def draw(cls, size: Size, prompt: str, label: str, avoided: str) -> Caption:
        """Sets the text for frames of this size in pixels; long prompts end in an ellipsis."""
        band, margin = (size[0], size[1] // 2), max(8, min(size) // 14)
        shade = Image.linear_gradient("L").resize(band).point([n * 3 // 5 for n in range(256)])
        return cls(_ink(band, margin, min(size), prompt, label, avoided), shade, margin)

    def write(self, luma: Image.Image, share: float) -> None:
        """Puts the words on a frame, and a line that is full at a `share` of 1."""
        place = (0, luma.height - self.ink.height)
        luma.paste(16, place, self.shade)
        luma.paste(WHITE, place, self.ink)
        left, top, thickness = self.margin, luma.height - self.margin, max(2, luma.height // 240)
        length = luma.width - 2 * left
        luma.paste(110, (left, top, left + length, top + thickness))
        luma.paste(WHITE, (left, top, left + round(length * share), top + thickness))


def _ink(band: Size, margin: int, short: int, prompt: str, label: str, avoided: str) -> Image.Image:
    """White text on black, laid out upwards from the lower left corner."""
    mask = Image.new("L", band)
    pen = ImageDraw.Draw(mask)
    large, small = ImageFont.load_default(short / 17), ImageFont.load_default(short / 36)
    width = band[0] - 2 * margin
    y = band[1] - margin * 1.45
    if avoided:
        y -= short / 22
        pen.text((margin, y), _fitted("without " + avoided, small, width), 165, small)
    for line in reversed(_wrapped(prompt, large, min(width, short * 1.45))):
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
