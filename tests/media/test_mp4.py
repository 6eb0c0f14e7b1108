"""MP4 without a library: whole or not, of which kind, how long and how large."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import pytest
from support.film import MATRICES, box, boxes_of, film, padding, record, shifted, sound, turned

from service.media.containers import BrokenMovie, ProbeResult
from service.media.iso_boxes import MAX_BOXES
from service.media.mp4 import read_mp4

FILM = film()
FTYP = box(b"ftyp", b"isomiso2")
MOOV_LAST = record()
FRAGMENTS = record(flags="frag_keyframe+empty_moov", keyframe_every=5)
EXPECTED = ProbeResult("mp4", 3.0, 64, 36)


def read(content: bytes) -> ProbeResult:
    """What a file of this content says of its film."""
    return read_mp4(io.BytesIO(content), len(content))


def full(kind: bytes, *numbers: int, code: str = "I") -> bytes:
    """A box with version and flags of 0 in front of its numbers."""
    return box(kind, bytes(4) + struct.pack(f">{len(numbers)}{code}", *numbers))


def header(kind: bytes, scale: int, length: int) -> bytes:
    """An ``mvhd`` or ``mdhd``."""
    return box(kind, bytes(12) + struct.pack(">II", scale, length) + bytes(80))


def tkhd(width: int, height: int, flags: int = 1) -> bytes:
    """The header of a track that is shown in that size."""
    sizes = struct.pack(">II", width << 16, height << 16)
    return box(b"tkhd", flags.to_bytes(4) + bytes(72) + sizes)


def stsd(width: int, height: int, *more: bytes) -> bytes:
    """The description of samples of that size."""
    sizes = bytes(24) + struct.pack(">HH", width, height) + bytes(50)
    return box(b"stsd", bytes(7) + b"\1" + box(b"avc1", sizes + b"".join(more)))


def trak(*tables: bytes, head: bytes = b"", handler: bytes = b"vide", mdhd: bytes = b"") -> bytes:
    """A track with these tables of samples."""
    hdlr = box(b"hdlr", bytes(8) + handler + bytes(13)) if handler else b""
    minf = box(b"minf", box(b"stbl", b"".join(tables)))
    return box(b"trak", head + box(b"mdia", mdhd + hdlr + minf))


def whole(*inside: bytes) -> bytes:
    """A file with this in its ``moov``."""
    return FTYP + box(b"moov", b"".join(inside)) + box(b"mdat", b"picture")


def test_figures() -> None:
    """Length and size are found without decoding anything."""
    assert EXPECTED == read(FILM)


@pytest.mark.parametrize(
    ("kind", "codec"),
    [("mov", "libx264"), ("m4v", "libx264"), ("3gp", "mpeg4"), ("mp4", "libx265")],
)
def test_relatives(kind: str, codec: str) -> None:
    """MP4's relatives are read alike, and keep their own kind."""
    assert ProbeResult(kind, 3.0, 64, 36) == read(record(kind=kind, codec=codec))


@pytest.mark.parametrize("brand", [b"qt  ", b"mqt "])
def test_brands(brand: bytes) -> None:
    """The first brand tells the kind, whatever the others are."""
    assert "mov" == read(FILM[:8] + brand + FILM[12:]).extension


def rearranged() -> dict[str, bytes]:
    """The same film with its boxes otherwise, each with its samples where it says."""
    ftyp, moov, free, mdat = (content for _, content in boxes_of(FILM))
    udta, uuid = box(b"udta", b"x"), box(b"uuid", bytes(16))
    long = b"\0\0\0\1mdat" + (len(mdat) + 8).to_bytes(8) + mdat[8:]
    return {
        "the index last": MOOV_LAST,
        "no ftyp": shifted(moov + free + mdat, -len(ftyp)),
        "no ftyp, the index last": shifted(MOOV_LAST[len(ftyp) :], -len(ftyp)),
        "a box in front": shifted(udta + FILM, len(udta)),
        "boxes in between": shifted(ftyp + moov + udta + uuid + mdat, len(udta + uuid) - 8),
        "a size of eight bytes": shifted(ftyp + moov + free + long, 8),
        "no size": ftyp + moov + free + b"\0\0\0\0" + mdat[4:],
        "a size that is too large": ftyp + moov + free + b"\x10" + mdat[1:],
    }


@pytest.mark.parametrize("order", rearranged())
def test_rearranged(order: str) -> None:
    """Boxes may stand in any order, with or without others, and with any form of size."""
    assert EXPECTED == read(rearranged()[order])


STRANGERS = {
    "padding": b"\0" * 7,
    "much padding": bytes(5000),
    "a line": b"\r\n-- appended by the encoder farm, 42 --\r\n",
    "a page": b"<html><body>504</body></html>",
    "json": b'{"status": "ok"}',
    "noise": bytes(range(255, 0, -1)) * 9,
    "a signature": b"-----BEGIN PGP SIGNATURE-----" + b"x" * 400,
    "a box of its own": box(b"Xtra", b"x" * 99),
    "a box that breaks off": box(b"Xtra", b"x" * 99, size=5000),
    "free space that breaks off": padding(5000),
    "a box without room": box(b"moov", size=5),
    "media without a size": box(b"mdat", b"abc", size=0),
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("content", [FILM, MOOV_LAST], ids=["index first", "index last"])
def test_strangers_behind(content: bytes, stranger: str) -> None:
    """Whatever follows the last box is no part of the film, and changes nothing."""
    assert EXPECTED == read(content + STRANGERS[stranger])


@pytest.mark.parametrize("stranger", sorted(STRANGERS.keys() - {"free space that breaks off"}))
def test_strangers_behind_fragments(stranger: str) -> None:
    """The same behind a film of fragments, but for what may be a part of it that breaks off."""
    assert ProbeResult("mp4", None, 64, 36) == read(FRAGMENTS + STRANGERS[stranger])


WHOLE_FILMS = pytest.mark.parametrize(
    "content", [FILM, MOOV_LAST, FRAGMENTS], ids=["index first", "index last", "fragments"]
)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.6, 0.9, 0.999])
@WHOLE_FILMS
def test_breaks_off(content: bytes, share: float) -> None:
    """A film that breaks off is distinguished from a whole one, wherever it does."""
    with pytest.raises(BrokenMovie, match=r"breaks off|has no"):
        read(content[: int(len(content) * share)])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.6, 0.9])
@WHOLE_FILMS
def test_breaks_off_before_a_line(content: bytes, share: float) -> None:
    """The same when something else was written behind what has come."""
    with pytest.raises(BrokenMovie, match=r"breaks off|has no"):
        read(content[: int(len(content) * share)] + STRANGERS["a line"])


def test_says_how_much_is_missing() -> None:
    """The message names the part and how much of it has not come."""
    with pytest.raises(BrokenMovie, match="9 bytes of its mdat box are missing"):
        read(FILM[:-9])


def test_samples_decide() -> None:
    """A film whose last samples lie beyond its end breaks off, whatever its boxes say."""
    ftyp, moov, free, mdat = (content for _, content in boxes_of(FILM))

    with pytest.raises(BrokenMovie, match="9 bytes of its samples are missing"):
        read(ftyp + moov + free + box(b"mdat", mdat[8:-9]))


#: Twenty samples in the first chunk and ten in the second.
STSC = full(b"stsc", 2, 1, 20, 1, 2, 10, 1)
SIZES = full(b"stsz", 0, 30, *range(30))
ALIKE = full(b"stsz", 100, 30)


@pytest.mark.parametrize(
    ("tables", "end"),
    [
        ([ALIKE, full(b"stco", 2, 10, 5000)], 5000 + 10 * 100),
        ([SIZES, full(b"stco", 2, 10, 5000)], 5000 + sum(range(20, 30))),
        ([SIZES, full(b"stco", 2, 5000, 10)], 5000 + sum(range(20))),
        ([full(b"stco", 2, 10, 5000)], 5000),
        ([SIZES, box(b"co64", struct.pack(">IIQQ", 0, 2, 10, 5 << 32))], (5 << 32) + 245),
    ],
)
def test_ends_where_its_last_chunk_does(tables: list[bytes], end: int) -> None:
    """The tables of samples say where a film ends."""
    content = whole(trak(STSC, *tables))

    with pytest.raises(BrokenMovie, match=f": {end - len(content)} bytes of its samples"):
        read(content)


@pytest.mark.parametrize(
    "tables",
    [
        [ALIKE],
        [STSC, full(b"stsz", 100, 2**32 - 1), full(b"stco", 2**32 - 1)],
        [full(b"stsc", 1, 5, 1, 1), full(b"stsz", 0, 2**32 - 1), full(b"stco", 1, 8)],
        [box(b"stsc", b"x"), box(b"stsz"), full(b"stco", 1, 8)],
    ],
)
def test_tables_that_say_nothing(tables: list[bytes]) -> None:
    """Tables that lack a part, or claim more than they hold, are left to a decoder."""
    assert ProbeResult("mp4", None, 8, 6) == read(whole(trak(*tables, head=tkhd(8, 6))))


def test_second_version() -> None:
    """Headers in their second version, with times of eight bytes, say the same."""
    mvhd = box(b"mvhd", b"\1" + bytes(19) + struct.pack(">IQ", 1000, 2500) + bytes(80))
    head = box(b"tkhd", b"\1\0\0\7" + bytes(84) + struct.pack(">II", 64 << 16, 36 << 16))

    assert ProbeResult("mp4", 2.5, 64, 36) == read(whole(mvhd, trak(head=head)))


STTS = full(b"stts", 2, 10, 100, 1, 500)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((header(b"mvhd", 1000, 3000), header(b"mdhd", 1000, 2000)), 3.0),
        ((header(b"mvhd", 1000, 0), header(b"mdhd", 1000, 2000)), 2.0),
        ((header(b"mvhd", 1000, 2**32 - 1), header(b"mdhd", 1000, 2000)), 2.0),
        ((header(b"mvhd", 0, 3000), header(b"mdhd", 1000, 2000)), 2.0),
        ((header(b"mvhd", 1000, 0), header(b"mdhd", 1000, 0)), 1.5),
        ((b"", header(b"mdhd", 1000, 0)), 1.5),
        ((b"", header(b"mdhd", 0, 0)), None),
        ((b"", b""), None),
    ],
)
def test_length(headers: tuple[bytes, bytes], expected: float | None) -> None:
    """A length of zero, or one that is not known, is looked for elsewhere."""
    mvhd, mdhd = headers

    assert expected == read(whole(mvhd, trak(STTS, mdhd=mdhd))).seconds


@pytest.mark.parametrize("name", MATRICES)
def test_turned(name: str) -> None:
    """The size is that of the upright picture."""
    found = read(turned(FILM, MATRICES[name]))
    sideways = name in ("ROTATE_90", "ROTATE_270", "TRANSPOSE", "TRANSVERSE")

    assert ((36, 64) if sideways else (64, 36)) == (found.width, found.height)


def test_movie_turned_and_track_turned_back() -> None:
    """The whole film's matrix counts as well as the track's."""
    start = FILM.index(b"mvhd") + 4 + 36
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    sideways = FILM[:start] + quarter + FILM[start + 36 :]
    upright = turned(sideways, MATRICES["ROTATE_90"])

    assert (36, 64) == (read(sideways).width, read(sideways).height)
    assert (64, 36) == (read(upright).width, read(upright).height)


PASP = box(b"pasp", struct.pack(">II", 32, 27))


@pytest.mark.parametrize(
    ("head", "tables", "expected"),
    [
        (tkhd(853, 480), [stsd(720, 480, PASP)], (853, 480)),
        (tkhd(720, 480), [stsd(720, 480, PASP)], (853, 480)),
        (tkhd(853, 480), [stsd(720, 480)], (853, 480)),
        (tkhd(853, 480), [stsd(720, 480, box(b"pasp", bytes(8)))], (853, 480)),
        (tkhd(64, 36), [stsd(1280, 720, box(b"avcC", bytes(300)))], (1280, 720)),
        (tkhd(0, 0), [stsd(1279, 719)], (1279, 719)),
        (tkhd(64, 36), [], (64, 36)),
        (tkhd(64, 36), [stsd(0, 0)], (64, 36)),
        (b"", [], (None, None)),
    ],
)
def test_size(head: bytes, tables: list[bytes], expected: tuple[int | None, int | None]) -> None:
    """The stored size, stretched by the shape of its pixels; else what the track's header says."""
    found = read(whole(trak(*tables, head=head)))

    assert expected == (found.width, found.height)


def test_oblong_pixels() -> None:
    """A film with oblong pixels is as wide as it is shown."""
    found = read(record(72, 58, pixel_ratio=Fraction(16, 11)))

    assert (105, 58) == (found.width, found.height)


SOUND = trak(handler=b"soun")


@pytest.mark.parametrize(
    "tracks",
    [
        [SOUND, trak(head=tkhd(8, 6))],
        [trak(head=tkhd(2, 2), handler=b"text"), trak(head=tkhd(8, 6))],
        [trak(head=tkhd(2, 2, flags=0)), trak(head=tkhd(8, 6))],
        [trak(head=tkhd(8, 6, flags=0)), SOUND],
        [trak(head=tkhd(8, 6)), trak(head=tkhd(2, 2))],
        [trak(handler=b""), trak(head=tkhd(8, 6), handler=b"")],
    ],
)
def test_picture_among_others(tracks: list[bytes]) -> None:
    """The film is the first enabled track of pictures; captions have a size as well."""
    assert ProbeResult("mp4", None, 8, 6) == read(whole(*tracks))


@pytest.mark.parametrize("content", [sound(), whole(SOUND), whole(SOUND, trak(handler=b"text"))])
def test_no_picture(content: bytes) -> None:
    """Sound alone is no film."""
    with pytest.raises(BrokenMovie, match="no picture"):
        read(content)


def test_compressed_index() -> None:
    """An index that QuickTime has compressed is left to a decoder."""
    assert ProbeResult("mp4") == read(whole(box(b"cmov", b"x" * 99)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (FTYP, "no moov"),
        (FTYP + box(b"moov"), "no mdat"),
        (FTYP + box(b"moov", size=5) + box(b"mdat"), "no moov"),
        (FTYP + b"\0\0\0\1moov\0", "no moov"),
        (FTYP + box(b"moov", bytes(9), size=99), "82 bytes of its moov box are missing"),
        (
            FTYP + box(b"moov", trak()) + box(b"mdat", size=99),
            "91 bytes of its mdat box are missing",
        ),
        (FTYP + box(b"moov") + box(b"mdat"), "no track"),
        (FTYP + box(b"moov") + box(b"\0\xff\n!", size=99), "no mdat"),
        (FTYP + box(b"free") * (MAX_BOXES + 1), "no moov"),
    ],
)
def test_no_film(content: bytes, says: str) -> None:
    """What is no whole film is named in words."""
    with pytest.raises(BrokenMovie, match=says):
        read(content)


def test_many_fragments() -> None:
    """A film with a fragment for each frame is read to its end."""
    content = FRAGMENTS + (box(b"moof") + box(b"mdat", b"x")) * 20_000

    assert EXPECTED.width == read(content).width
    with pytest.raises(BrokenMovie, match="5 bytes of its moof box are missing"):
        read(content + box(b"moof", b"x", size=14))
