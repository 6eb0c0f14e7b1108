"""Tables on terminals of any width: what people read is there, and no line is too long."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import pytest
from rich.cells import cell_len
from rich.console import Console

from service.cli.tables import layout

ID = "dlv_01a224f929307e5d8000000000000001"
DELIVERIES = [
    {
        "delivery": ID,
        "state": "exhausted",
        "event": "job.succeeded",
        "to": "slack https://hooks.slack.com/…7f3e",
        "job": "job_01a224f928f47e57a01105422cc3aaf6",
        "created": "15 min ago",
        "tries": "8",
        "last": "answered 500",
    },
    {
        "delivery": ID.replace("dlv_0", "dlv_1"),
        "state": "delivered",
        "event": "subscription.disabled",
        "to": "Orders",
        "job": "",
        "created": "2 d ago",
        "tries": "1",
        "last": "200",
    },
]
SUBSCRIPTIONS = [
    {
        "subscription": "sub_01a224f8b5367e7ebdcc0bf7328352ae",
        "channel": "webhook",
        "name": "Warehouse",
        "target": "https://example.com/a/very/long/path/that/goes/on/and/on",
        "events": "job.succeeded job.failed job.unknown job.held",
        "state": "on",
    }
]
SPARE, CUT = ("tries", "created", "last"), {"to": 14, "last": 24}


def lines(
    rows: list[dict[str, str]],
    width: int,
    spare: Sequence[str] = (),
    cut: Mapping[str, int] | None = None,
) -> list[str]:
    """What the terminal shows."""
    out = Console(width=width, file=io.StringIO(), markup=False, highlight=False)
    for part in layout(rows, width, spare, cut or {}):
        out.print(part)
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", range(40, 201, 5))
def test_any_width(width: int) -> None:
    """Each line fits; the start of each id, the state, the event and the job are always there."""
    shown = lines(DELIVERIES, width, SPARE, CUT)
    text = " ".join(shown)

    assert [] == [line for line in shown if cell_len(line) > width]
    assert all(word in text for word in (ID[:20], "exhausted", "succeeded", "job_01a224f928f47e57"))
    assert "Orders" in text and "subscription.disabled" in text.replace("\n", "")


def test_room_for_all() -> None:
    """On a wide terminal and in a pipe nothing is shortened or missing."""
    (_, first, _) = lines(DELIVERIES, 10_000, SPARE, CUT)

    assert list(DELIVERIES[0].values()) == first.split("  ")[:1] + [
        cell.strip() for cell in first.split("  ")[1:] if cell.strip()
    ]


def test_spared_in_order() -> None:
    """Where not all fits, the columns go in the given order."""
    heads = [lines(DELIVERIES, width, SPARE, CUT)[0].split() for width in range(40, 200)]
    left = [tuple(name for name in SPARE if name in head) for head in heads]

    assert [SPARE[3:], SPARE[2:], SPARE[1:], SPARE] == list(dict.fromkeys(left))


def test_cut_and_folded() -> None:
    """A cell that may be cut stays on one line; others are folded between words."""
    cut = lines([{"a": "one two three four five six seven"}], 20, cut={"a": 14})
    folded = lines([{"a": "one two three four five six seven"}], 20)

    assert ["a", "one two three four …"] == cut
    assert ["a", "one two three four", "five six seven"] == folded


def test_second_line() -> None:
    """On a narrow terminal the long cells of a row stand below its short ones."""
    assert [
        "subscription          channel  name       state",
        "  target · events",
        "sub_01a224f8b5367e7e  webhook  Warehouse  on",
        "  https://example.com/a/very/long/path/that/goes/on/and/on · succeeded failed",
        "  unknown held",
    ] == lines(SUBSCRIPTIONS, 80)


def test_wide_letters() -> None:
    """Letters of two columns and joined emoji count as they are shown."""
    rows = [{"name": "狐狸在雪地里奔跑" * 3, "state": "on"}, {"name": "A 👨‍👩‍👧", "state": "off"}]

    assert [] == [line for line in lines(rows, 40) if cell_len(line) > 40]
