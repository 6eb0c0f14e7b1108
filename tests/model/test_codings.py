"""Content codings: undone within a cap, also where several lie over each other or none does."""

from __future__ import annotations

import functools
import gzip
import random
import time
import zlib
from collections.abc import Callable
from io import BytesIO

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from service.model.codings import (
    BadCoding,
    Source,
    codings_of,
    content_of,
    decode,
    is_coded,
    open_decoded,
)

BODY = b'{"code":200,"data":{"taskId":"0123456789"}}' * 20


def raw_deflate(data: bytes) -> bytes:
    """Deflate as many servers write it: without zlib's head."""
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(data) + made.flush()


def whole(source: Source, size: int = 65536) -> bytes:
    """All of it, in pieces of at most that size."""
    pieces = list(iter(lambda: source.read(size), b""))
    assert max(map(len, pieces), default=0) <= size
    return b"".join(pieces)


Coder = tuple[str, Callable[[bytes], bytes]]
CODERS: list[Coder] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("br", brotli.compress),
    ("zstd", zstd.compress),
]
CODED = [
    ("gzip", gzip.compress(BODY)),
    ("GZip", gzip.compress(BODY)),
    (" x-gzip ", gzip.compress(BODY)),
    ("gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])),
    ("deflate", zlib.compress(BODY)),
    ("deflate", raw_deflate(BODY)),
    ("BR", brotli.compress(BODY)),
    ("zstd", zstd.compress(BODY)),
    ("zstd", zstd.compress(BODY[:9]) + zstd.compress(BODY[9:])),
    ("br, zstd", zstd.compress(brotli.compress(BODY))),
    ("deflate, gzip", gzip.compress(zlib.compress(BODY))),
    ("gzip,identity,gzip", gzip.compress(gzip.compress(BODY))),
    ("identity", BODY),
    ("", BODY),
]


@pytest.mark.parametrize(("header", "coded"), CODED, ids=range(len(CODED)))
def test_decoded(header: str, coded: bytes) -> None:
    """Each coding and each pile of them, whole or piece by piece."""
    source = open_decoded(BytesIO(coded), header)

    assert BODY == decode(coded, header, len(BODY))
    assert BODY == content_of({"content-encoding": header}, coded, len(BODY))
    assert BODY == whole(source, 7)


@pytest.mark.parametrize(
    "header", ["gzip", "deflate", "gzip, deflate", "br", "zstd", "utf-8", "aws-chunked"]
)
def test_an_untrue_header_is_ignored(header: str) -> None:
    """A body that is not coded at all arrives as it is, whatever its header claims."""
    assert BODY == whole(open_decoded(BytesIO(BODY), header))
    assert BODY == content_of({"Content-Encoding": header}, BODY, len(BODY))


class Slow:
    """A source that gives one byte at a time, as a connection may."""

    def __init__(self, body: bytes) -> None:
        self._body = BytesIO(body)

    def read(self, size: int, /) -> bytes:
        """The next one."""
        return self._body.read(min(size, 1))


@pytest.mark.parametrize("header", ["gzip", "deflate", "br", "zstd"])
def test_byte_by_byte(header: str) -> None:
    """However little comes at once, a coding is undone, and an untrue one ignored."""
    coded = dict(CODERS)[header](BODY)

    assert BODY == whole(open_decoded(Slow(coded), header))
    assert BODY == whole(open_decoded(Slow(BODY), header))


def test_only_what_is_known_is_undone() -> None:
    """A name that is no coding stands beside one that is."""
    assert BODY == decode(gzip.compress(BODY), "gzip, aws-chunked", len(BODY))
    assert (True, False) == (is_coded("Gzip, aws-chunked"), is_coded("binary, dcb"))
    assert ["gzip", "br"] == codings_of(" gzip, identity ,,BR")


@pytest.mark.parametrize("header", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "br, zstd"])
def test_a_bomb_stays_small(header: str) -> None:
    """Of a body that unfolds a thousandfold no more than the cap and one byte is made."""
    coded = b"\0" * 5_000_000
    for name in codings_of(header):
        coded = dict(CODERS)[name](coded)

    assert 1001 == len(decode(coded, header, 1000))
    assert 0 < len(open_decoded(BytesIO(coded), header).read(1000)) <= 1000


@pytest.mark.parametrize("header", ["gzip", "deflate", "br", "zstd", ", ".join(["gzip"] * 9)])
def test_a_false_coding_can_be_refused(header: str) -> None:
    """Who must answer for a body hears that it is not in its coding."""
    with pytest.raises(BadCoding, match=r"coding (gzip|deflate|br|zstd) that|more than 5 codings"):
        decode(BODY, header, len(BODY))


def test_no_pile_keeps_us_busy() -> None:
    """Layers that unfold into terabytes, none of which is ever given out, are not followed."""
    empty_blocks = raw_deflate(b"")[:-2] + b"\x00\x00\x00\xff\xff" * 20_000_000
    coded = gzip.compress(empty_blocks, 1)
    began = time.monotonic()
    with pytest.raises(BadCoding, match="too far"):
        decode(coded, "deflate, gzip", 1000)

    assert 1 > time.monotonic() - began


@given(st.binary(max_size=300), st.lists(st.sampled_from(CODERS), max_size=5), st.integers(1, 400))
def test_every_pile_comes_back(body: bytes, coders: list[Coder], size: int) -> None:
    """What was coded in any order is decoded to the same bytes, whatever the pieces."""
    coded = functools.reduce(lambda made, coder: coder[1](made), coders, body)
    header = ", ".join(name for name, _ in coders)

    assert body == decode(coded, header, len(body))
    assert body == whole(open_decoded(BytesIO(coded), header), size)


def test_long_bodies() -> None:
    """The end of a body that is longer than what is read at once is not lost."""
    for body in (bytes(3_000_000), random.Random(1).randbytes(300_000)):
        for name, code in CODERS:
            assert body == whole(open_decoded(BytesIO(code(body)), name))


def test_cut_off() -> None:
    """A body that breaks off is decoded as far as it came."""
    coded = gzip.compress(random.Random(1).randbytes(5000))

    assert 4000 < len(decode(coded[:-500], "gzip", 5000)) < 5000
    assert (b"", b"") == (decode(b"", "gzip", 9), whole(open_decoded(BytesIO(), "deflate, gzip")))


def test_what_follows_is_ignored() -> None:
    """Padding behind the end of a coded body is not part of it; br allows none."""
    for name, code in [coder for coder in CODERS if coder[0] != "br"]:
        assert BODY == whole(open_decoded(BytesIO(code(BODY) + bytes(512)), name))


def test_a_window_larger_than_http_allows() -> None:
    """A small body that asks for 128 MiB of memory to be decoded is refused."""
    wide = {int(zstd.CompressionParameter.window_log): 27}
    made = zstd.ZstdCompressor(options=wide)
    coded = made.compress(BODY) + made.flush()
    with pytest.raises(BadCoding, match="coding zstd"):
        decode(coded, "zstd", len(BODY))


@given(st.binary(), st.sampled_from(["gzip", "deflate", "gzip, deflate", "br", "zstd", ""]))
def test_any_bytes(body: bytes, header: str) -> None:
    """No body breaks the one who reads it."""
    assert len(content_of({"Content-Encoding": header}, body, 100)) <= 101
