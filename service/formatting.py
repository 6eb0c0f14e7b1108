"""Formatters of values: times, money, sizes, shares and sentences."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import overload
from urllib.parse import urlsplit

#: Joiners and marks (zero width joiner and non-joiner, left-to-right mark, …), and flags' tags.
JOINERS = re.compile("[\u200c-\u200f\u061c\U000e0020-\U000e007f]")
#: Units of time and their seconds, the largest first.
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


@overload
def iso(moment: datetime) -> str: ...
@overload
def iso(moment: None) -> None: ...
@overload
def iso(moment: datetime | None) -> str | None: ...
def iso(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, whole seconds unless there are fractions; None stays None."""
    if moment is None:
        return None
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def format_duration(seconds: float) -> str:
    """A duration as text: "240 ms", "4.8 s", "48 s", "2 min 14 s", "3 h 05 min", "90 d"."""
    if 0.0005 <= seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0", "")
    whole = round(seconds)
    for (unit, length), (lower, below) in pairwise(_UNITS):
        if whole >= length:
            rest = whole % length // below
            return f"{whole // length} {unit}" + (f" {rest:02} {lower}" if rest else "")
    return f"{whole} s"


def format_age(moment: datetime, now: datetime) -> str:
    """The time since `moment`, in its largest unit: "just now", "3 min ago", "2 d ago"."""
    seconds = int((now - moment).total_seconds())
    for unit, length in _UNITS[:-1]:
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return "just now"


def format_clock(moment: datetime | str) -> str:
    """Hours, minutes and seconds in UTC: "14:05:09"."""
    return _in_utc(moment).strftime("%H:%M:%S")


def format_date(moment: datetime | str) -> str:
    """The day and its time in UTC: "1 Jan 2026, 14:05 UTC"."""
    return _in_utc(moment).strftime("%-d %b %Y, %H:%M UTC")


def _in_utc(moment: datetime | str) -> datetime:
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found.astimezone(UTC)


def format_money(dollars: float) -> str:
    """Dollars with cents, and more digits only if needed: "$1,200.00", "$0.0125"."""
    cents = round(dollars, 2) == round(dollars, 4)
    return f"${dollars:,.2f}" if cents else f"${dollars:,.4f}".rstrip("0")


def format_difference(dollars: float) -> str:
    """A difference in dollars: "+$0.05", "−$1.20", "$0.00"."""
    sign = "+" if dollars > 0 else "−" if dollars < 0 else ""
    return f"{sign}{format_money(abs(dollars))}"


def format_price(low: float | None, high: float | None) -> str:
    """A price from `low` to `high` dollars: "$0.44", "$0.28–1.96", "price not stated"."""
    if low is None or high is None:
        return "price not stated"
    ends = dict.fromkeys((format_money(low), format_money(high)))
    return "–".join(ends).replace("–$", "–")


def count_of(count: int, thing: str) -> str:
    """A count with its noun: "1 job", "3 jobs"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def format_size(count: int) -> str:
    """Bytes in the unit that people read: "0.4 kB", "2.5 MB", "1.1 GB"."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def format_count(count: int, most: int) -> str:
    """A number that was counted up to `most`: "9,999", "10,000+"."""
    return f"{count:,}" if count <= most else f"{most:,}+"


def format_share(part: float, whole: float) -> str:
    """A share in percent: almost all is never "100 %", and almost none is never "0 %"."""
    if not whole:
        return "none"
    share = 100 * part / whole
    digits = 1 if 0 < share < 1 or 99 < share < 100 else 0
    shown = min(max(round(share, digits), 0.1), 99.9) if 0 < share < 100 else round(share)
    return f"{shown:g} %"


def mask_target(target: str) -> str:
    """A target masked so that people recognise it but cannot use it: parts may be secret."""
    scheme, separator, _ = target.partition("://")
    if separator and scheme in ("http", "https"):
        host = urlsplit(target).netloc.rpartition("@")[2]
        return f"{scheme}://{host}/…{target[-4:]}"
    if separator:
        return f"{scheme}://…"
    name, at, domain = target.rpartition("@")
    return f"{name[:1]}…@{domain}" if at else f"{target[:2]}…"


def escape_char(char: str) -> str:
    """A character as Python writes it, such as ``\\x1b``."""
    return char.encode("unicode_escape").decode()


def harmless(text: str, escape: Callable[[str], str] = escape_char) -> str:
    """
    `text` for a terminal, with control characters and direction marks escaped.

    Line ends, tabs, and the joiners and marks that scripts need stay.
    """
    return "".join(
        char if char.isprintable() or char in "\n\t" or JOINERS.match(char) else escape(char)
        for char in text
    )


def format_address(host: str, port: int) -> str:
    """Both as URLs have them: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def as_sentence(text: str) -> str:
    """`text` with a capital and a full stop, which vendors' texts often lack."""
    end = "" if text[-1:] in (".", "!", "?", "…", "") else "."
    return text[:1].upper() + text[1:] + end
