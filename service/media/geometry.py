"""
How a picture is shown: its pixels may be oblong, and it may lie on its side.

A file says both beside the picture; players follow it, so sizes and posters do too.
"""

from __future__ import annotations

from fractions import Fraction

#: The part of a display matrix that turns and mirrors, a b c d: x' = ax + cy, y' = bx + dy.
Matrix = tuple[int, int, int, int]

#: Pixels; what claims to be longer is a damaged number.
LONGEST_SIDE = 65535

#: By the signs of the two numbers that are not zero; the words are Pillow's.
_UPRIGHT = {
    (False, False): None,
    (True, False): "FLIP_LEFT_RIGHT",
    (False, True): "FLIP_TOP_BOTTOM",
    (True, True): "ROTATE_180",
}
_SIDEWAYS = {
    (False, False): "TRANSPOSE",
    (False, True): "ROTATE_270",  # counter-clockwise, so a quarter turn to the right
    (True, False): "ROTATE_90",
    (True, True): "TRANSVERSE",
}


def is_sideways(matrix: Matrix) -> bool:
    """Whether width and height change places."""
    a, b, c, d = matrix
    return abs(b) + abs(c) > abs(a) + abs(d)


def transpose_of(matrix: Matrix) -> str | None:
    """The name in `PIL.Image.Transpose` that shows a stored picture upright; None for as it is."""
    a, b, c, d = matrix
    if is_sideways(matrix):
        return _SIDEWAYS[b < 0, c < 0]
    return _UPRIGHT[a < 0, d < 0]


def shown_size(width: int, height: int, pixel_ratio: Fraction | None) -> tuple[int, int]:
    """
    The size at which stored pixels are shown, before any turn.

    Args:
        pixel_ratio: width of a pixel by its height; None where the file does not say.
    """
    shown = round(width * pixel_ratio) if pixel_ratio else width
    return (shown, height) if 0 < shown <= LONGEST_SIDE else (width, height)


def upright_size(
    width: int, height: int, pixel_ratio: Fraction | None, matrix: Matrix
) -> tuple[int, int]:
    """The size of the picture as a viewer sees it; arguments as in `shown_size`."""
    shown = shown_size(width, height, pixel_ratio)
    return shown[::-1] if is_sideways(matrix) else shown
