"""Raw callbacks for people: readable, harmless, without secrets."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from service.settings import load_settings
from service.web.dashboard.raw import (
    HIDDEN,
    LONGEST,
    READ,
    Text,
    secrets_of,
    shown_body,
    shown_headers,
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"a": [1, {"b": "\xc3\xbc"}]}',
            '{\n  "a": [\n    1,\n    {\n      "b": "\u00fc"\n    }\n  ]\n}',
        ),
        (b'{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),
        (b"<b>no JSON</b>", "<b>no JSON</b>"),
        (b"\xff\x00\x1b[2J", "\\xff\\x00\\x1b[2J"),
        ("safe \u202eexe".encode(), "safe \\u202eexe"),
        (b"[" * 100_000, "[" * LONGEST),
        (b"", ""),
    ],
)
def test_body(body: bytes, expected: str) -> None:
    """JSON is laid out where nothing is lost by it, and what cannot be seen is written out."""
    assert Text(expected, len(body), len(body) > LONGEST) == shown_body(body, [])


@pytest.mark.parametrize("end", [b"}", b", broken"])
def test_secrets(end: bytes) -> None:
    """Keys of ours, tokens in our addresses and fields with such names are hidden, in any form."""
    fields = b'"url": "/callbacks/to.k-en", "note": "sent by KEY", "apiKey": "x\\"zz"'
    shown = shown_body(b'{"callback_token": "abc", ' + fields + end, ["KEY"]).text

    assert [] == [word for word in ("abc", "to.k-en", "KEY", "zz") if word in shown]
    assert '"callback_token": "***"' in shown and "/callbacks/***" in shown


def test_long_body() -> None:
    """Of a long one the beginning is shown, and that there was more."""
    shown = shown_body(b'"' + b"x" * READ + b'"', [])

    assert (LONGEST, True, READ + 2) == (len(shown.text), shown.left_out, shown.size)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 900 + b"1," * 30_000 + b"1" + b"]" * 900,
        b'"' + b"token" * 13_000,
    ],
    ids=["white space", "names"],
)
def test_little_work(body: bytes) -> None:
    """However a body is made, looking at it takes little time and memory."""
    marks = [time.process_time()]
    for _ in range(3):
        shown = shown_body(body, [])
        marks.append(time.process_time())

    assert (LONGEST, True) == (len(shown.text), shown.left_out)
    assert min(after - before for before, after in pairwise(marks)) < 0.2


def test_headers() -> None:
    """Headers that let somebody in are hidden, the others cannot do harm."""
    given = {"X-Api-Key": "k", "Cookie": "c", "Authorization": "a", "X-Note": "\x07 KEY", "A": "b"}

    assert [
        ("A", "b"),
        ("Authorization", "***"),
        ("Cookie", "***"),
        ("X-Api-Key", "***"),
        ("X-Note", "\\x07 ***"),
    ] == shown_headers(given, ["KEY"])


def test_secrets_of_all_vendors(tmp_path: Path) -> None:
    """No vendor's key or webhook secret, and no password, is shown in what was sent or came."""
    given = {
        "CLIPBELL_FAL_API_KEY": "key-of-fal",
        "CLIPBELL_KIE_WEBHOOK_SECRET": "secret-of-kie",
        "CLIPBELL_SMTP_URL": "smtp://me:word@mail.example",
        "CLIPBELL_SLACK_BOT_TOKEN": "xoxb-1",
    }
    secrets = secrets_of(load_settings(given, data_dir=tmp_path))
    shown = shown_body(" ".join(given.values()).encode(), secrets).text

    assert " ".join([HIDDEN] * 4) == shown


def test_keys_of_a_sandbox_are_words(tmp_path: Path) -> None:
    """The key that `clipbell sandbox` prints is part of many words, which stay as they are."""
    given = {"CLIPBELL_APIXO_API_KEY": "any", "CLIPBELL_SEGMIND_API_KEY": "k"}
    secrets = secrets_of(load_settings(given, data_dir=tmp_path))

    assert "A company like no other" == shown_body(b"A company like no other", secrets).text
