"""
The rows of a batch file, as Excel, LibreOffice, pandas and `JSON.stringify` write them.

What cannot be read for sure is refused with its reason: a row is never sent wrongly.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from service.cli.parsing import as_input
from service.errors import ClipbellError
from service.jobs.requests import FIELDS
from service.model.json_text import read_json

RawRow = tuple[int, str | None, dict[str, Any]]
Rows = Iterator[tuple[int, dict[str, Any]]]
#: What stands between cells; Excel writes semicolons where a comma is in numbers.
DELIMITERS = ",;\t|"
#: Those of all systems; other signs that Python takes for line ends may stand in texts.
_LINE_END = re.compile(r"\r\n|\n|\r")
#: Files that spreadsheet programs write by default.
WORKBOOKS = {".xlsx", ".xls", ".ods", ".numbers"}
#: Columns of which a header has at least one.
KNOWN = {"id", "prompt", *FIELDS}


class FileError(ClipbellError):
    """A batch file cannot be used; the message says where and why."""


def read_rows(path: Path, defaults: dict[str, Any]) -> Iterator[RawRow]:
    """
    The rows of the file: row number, own id and the body of the job.

    Args:
        defaults: `model`, `provider`, `notify` of the rows that name none.

    Raises:
        FileError: the file, or a row of it, cannot be read.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        advice = "; save it as CSV (UTF-8)" if path.suffix.lower() in WORKBOOKS else ""
        raise FileError(f"{path}: must end in {' or '.join(_READERS)}{advice}")
    empty = True
    for number, row in reader(_text_of(path), str(defaults.get("model", ""))):
        empty = False
        own_id = row.pop("id", None)
        # A column that is no field of a job is input of the model.
        body = {name: value for name, value in row.items() if name in FIELDS}
        inputs = {name: value for name, value in row.items() if name not in FIELDS}
        body = body | inputs if "input" in body else {**body, "input": inputs}
        yield number, None if own_id in (None, "") else str(own_id), defaults | body
    if empty:
        raise FileError(f"{path} has no row")


def _text_of(path: Path) -> str:
    """UTF-8, or UTF-16 with its mark, as Excel's Unicode text has it."""
    try:
        content = path.read_bytes()
        if content.startswith(b"PK\x03\x04"):
            raise FileError(f"{path} is a workbook: save it as CSV (UTF-8) and run again")
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if wide else "utf-8-sig")
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FileError(f"{path} is not UTF-8: save it as UTF-8 and run again") from None


def _csv_rows(text: str, model: str) -> Rows:
    """Cells become numbers where the model wants them, and lists at blanks."""
    first, *others = _LINE_END.split(text, maxsplit=1)
    order = first.strip(' "')
    named = order.lower().startswith("sep=")
    if named:
        delimiter = order[4:5] or "\t"
    else:
        # The one that parts the first line into the most names that we know.
        names = {one: {cell.strip(' "') for cell in first.split(one)} for one in DELIMITERS}
        delimiter = max(DELIMITERS, key=lambda one: len(KNOWN & names[one]))
    lines = io.StringIO("".join(others) if named else text, newline="")
    table = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    header: list[str] = []
    number = first_row = int(named)
    try:
        # Rows as a spreadsheet counts them: a cell may have several lines.
        for number, cells in enumerate(table, first_row + 1):
            if not any(cell.strip() for cell in cells):
                continue
            if header:
                yield number, _values(number, header, cells, model, delimiter)
            header = header or _header(cells)
    except csv.Error as error:
        raise FileError(f"row {number + 1}: {error}") from None


def _header(cells: list[str]) -> list[str]:
    # People write "Negative prompt"; no name of ours has a capital or a blank.
    names = [cell.strip().lower().replace(" ", "_") for cell in cells]
    while names and not names[-1]:
        names.pop()
    if "" in names:
        column = names.index("") + 1
        raise FileError(f"column {column} has no name: name or delete it (pandas: index=False)")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise FileError(f"two columns are named {twice[0]}: rename or delete one")
    if not KNOWN & set(names):
        raise FileError("the first line must name the columns, such as model,prompt,duration")
    return names


def _values(
    number: int, header: list[str], cells: list[str], model: str, delimiter: str
) -> dict[str, Any]:
    if any(cell.strip() for cell in cells[len(header) :]):
        raise FileError(f"row {number}: has more cells than the header has names")
    filled = {name: cell for name, cell in zip(header, cells, strict=False) if cell != ""}
    model, values = filled.get("model", model), dict[str, Any](filled)
    for name, cell in filled.items():
        if name in ("notify", "events"):
            values[name] = cell.split()
        elif name == "metadata" or name == "cancel_after":
            with suppress(ValueError):
                values[name] = read_json(cell)
        elif name not in ("id", *FIELDS):
            # Where Excel parts cells by semicolons, its numbers have a comma.
            decimal = delimiter == ";" and re.fullmatch(r"-?[0-9]+,[0-9]+", cell)
            words = [cell.replace(",", ".")] if decimal else cell.split(" ")
            values[name] = as_input(model, name, words)
    return values


def _json_rows(text: str, _: str) -> Rows:
    """An object on each line, or one array of them, as many programs write it."""
    if text.lstrip().startswith("["):
        for number, row in enumerate(_parsed("the file", text), 1):
            yield number, _fields(number, row)
        return
    for number, line in enumerate(_LINE_END.split(text), 1):
        # RFC 7464 puts a sign before each.
        if row := line.strip().lstrip("\x1e"):
            yield number, _fields(number, _parsed(f"row {number}", row))


def _parsed(where: str, text: str) -> Any:
    try:
        return read_json(text)
    except UnicodeEncodeError:
        raise FileError(f"{where}: holds half a surrogate pair") from None
    except ValueError as error:
        raise FileError(f"{where}: is not JSON: {error}") from None


def _fields(number: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise FileError(f"row {number}: must be a JSON object")
    # pandas writes null for an empty cell.
    return {name: value for name, value in row.items() if value is not None}


_READERS: dict[str, Callable[[str, str], Rows]] = {
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".json": _json_rows,
}
