"""
The parser of HTTP answers' heads, in every form that RFC 9110 and 9112 allow.

`http.client` stops at 103 Early Hints, and a field that it cannot parse hides
all that follow, the length of the body included. A create call must not lose a
paid task to that.
"""

from __future__ import annotations

import re
from collections import Counter
from http.client import HTTPException
from typing import BinaryIO

#: The most bytes of all heads before a body, including provisional ones.
HEAD_BYTES = 256 * 1024
#: A longer field is ignored: `http.client` would refuse the answer because of it.
FIELD_BYTES = 65_000
#: The most fields; `http.client` refuses more than 100 lines, including the blank one.
MAX_FIELDS = 99
_BLANK = (b"\r\n", b"\n", b"")
_PROVISIONAL = re.compile(rb"HTTP/\d\.\d +1\d\d\b")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def read_final_head(file: BinaryIO) -> bytes:
    """
    The status line and the normalised fields of the final answer; `file` is then at its body.

    Answers 100 to 199 before it are skipped.

    Raises:
        HTTPException: the heads are longer than `HEAD_BYTES` together.
    """
    left, lines = HEAD_BYTES, list[bytes]()
    while not lines or _PROVISIONAL.match(lines[0]):
        lines = []
        while not lines or lines[-1] not in _BLANK:
            lines.append(file.readline(left + 1))
            left -= len(lines[-1])
            if left < 0:
                raise HTTPException(f"the head is longer than {HEAD_BYTES} bytes")
    # One line per field: unfolded, without what is no field, the repeated ones last.
    seen: Counter[bytes] = Counter()
    found: list[tuple[int, bytes]] = []
    for name, value in _undo_transfer_codings(_fields(lines[1:-1])):
        found.append((seen[name.lower()], name + b": " + value + b"\r\n"))
        seen[name.lower()] += 1
    fields = [field for _, field in sorted(found, key=lambda each: each[0])][:MAX_FIELDS]
    return b"".join([lines[0], *fields, *lines[1:][-1:]])


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    unfolded: list[bytes] = []
    for line in lines:
        if line.startswith((b" ", b"\t")) and unfolded:
            unfolded[-1] += b" " + line.strip()
        else:
            unfolded.append(line.strip())
    found = []
    for line in unfolded:
        name, colon, value = line.partition(b":")
        name, value = name.rstrip(), value.replace(b"\r", b" ").strip()
        if name.lower() == b"content-length":
            # A proxy may have joined equal lengths to a list.
            lengths = {length.strip() for length in value.split(b",")}
            value = lengths.pop() if len(lengths) == 1 else value
        if colon and _TOKEN.fullmatch(name) and len(line) <= FIELD_BYTES:
            found.append((name, value))
    return found


def _undo_transfer_codings(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """
    The fields with ``chunked`` as the only transfer coding.

    `http.client` sees no chunks in ``Transfer-Encoding: gzip, chunked``. Such a coding lies over
    the content's own, so it is named as the last of those.
    """
    values = [value for name, value in fields if name.lower() == b"transfer-encoding"]
    codings = [coding.strip().lower() for coding in b",".join(values).split(b",")]
    others = [coding for coding in codings if coding not in (b"", b"chunked")]
    if not others:
        return fields
    contents = [value for name, value in fields if name.lower() == b"content-encoding"]
    # Without chunks the body lasts until the connection closes, whatever length is named.
    replaced = {b"transfer-encoding", b"content-encoding", b"content-length"}
    chunked = [(b"Transfer-Encoding", b"chunked")] if codings[-1] == b"chunked" else []
    return [
        *chunked,
        (b"Content-Encoding", b", ".join([*contents, *others])),
        *((name, value) for name, value in fields if name.lower() not in replaced),
    ]
