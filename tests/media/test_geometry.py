"""Geometry: how pictures are turned and stretched before anybody sees them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from PIL import Image
from support.film import MATRICES

from service.media.geometry import Matrix, is_sideways, shown_size, transpose_of, upright_size

#: Two by three points, each of a shade of its own.
STORED = Image.frombytes("L", (2, 3), bytes(range(6)))


def moved(matrix: Matrix) -> list[list[int]]:
    """The shades by rows after each point has moved as the matrix says (ISO 14496-12, 6.2.2)."""
    a, b, c, d = (value // 0x10000 for value in matrix)
    points = {(a * x + c * y, b * x + d * y): y * 2 + x for x in range(2) for y in range(3)}
    across, down = sorted({x for x, _ in points}), sorted({y for _, y in points})
    return [[points[x, y] for x in across] for y in down]


@pytest.mark.parametrize("name", MATRICES)
def test_turns(name: str) -> None:
    """Every quarter turn and mirroring ends as the matrix of its file says."""
    matrix = MATRICES[name]
    turn = transpose_of(matrix)
    shown = STORED.transpose(Image.Transpose[turn]) if turn else STORED
    rows = [list(shown.crop((0, y, shown.width, y + 1)).tobytes()) for y in range(shown.height)]

    assert (name or None) == turn
    assert moved(matrix) == rows
    assert (shown.size == (3, 2)) == is_sideways(matrix)


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((0, 0, 0, 0), None),
        ((46341, 46340, -46340, 46341), None),
        ((46340, 46341, -46341, 46340), "ROTATE_270"),
        ((0x20000, 0, 0, 0x8000), None),
    ],
)
def test_odd_matrices(matrix: Matrix, turn: str | None) -> None:
    """A turn by less than a quarter is rounded, a stretch alone turns nothing."""
    assert turn == transpose_of(matrix)


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [
        ((64, 36), None, (64, 36)),
        ((64, 36), Fraction(1), (64, 36)),
        ((720, 480), Fraction(32, 27), (853, 480)),
        ((720, 480), Fraction(8, 9), (640, 480)),
        ((720, 576), Fraction(16, 11), (1047, 576)),
        ((64, 36), Fraction(65535), (64, 36)),
        ((64, 36), Fraction(1, 65535), (64, 36)),
    ],
)
def test_oblong_pixels(
    size: tuple[int, int], ratio: Fraction | None, expected: tuple[int, int]
) -> None:
    """Oblong pixels change the width; a ratio that cannot be meant changes nothing."""
    assert expected == shown_size(*size, ratio)


def test_upright() -> None:
    """Pixels are stretched before the picture is turned."""
    assert (480, 853) == upright_size(720, 480, Fraction(32, 27), MATRICES["ROTATE_90"])
