"""Files as other programs write them: read as they are meant, or refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.cli.batch_file import FileError, read_rows

FOX: dict[str, Any] = {"model": "kling-2", "input": {"prompt": "A fox, running", "duration": "5"}}


def rows(folder: Path, name: str, content: str | bytes) -> list[dict[str, Any]]:
    """The bodies in a file of that content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [body for _, _, body in read_rows(path, {})]


@pytest.mark.parametrize(
    "content",
    [
        'model,prompt,duration\nkling-2,"A fox, running",5\n',
        'model,prompt,duration\r\nkling-2,"A fox, running",5\r\n,,\r\n,,\r\n',
        'model;prompt;duration\r\nkling-2;"A fox, running";5\r\n',
        "sep=;\r\nmodel;prompt;duration\r\nkling-2;A fox, running;5\r\n",
        'sep=,\r\nmodel,prompt,duration\r\nkling-2,"A fox, running",5\r\n',
        "model\tprompt\tduration\nkling-2\tA fox, running\t5\n",
        'model, prompt, duration\nkling-2, "A fox, running", 5\n',
        '\ufeff"model","prompt","duration"\n"kling-2","A fox, running","5"\n',
        'model,prompt,duration,,\nkling-2,"A fox, running",5,,\n',
        '\n\nmodel,prompt,duration\n\nkling-2,"A fox, running",5\n',
    ],
)
def test_tables(tmp_path: Path, content: str) -> None:
    """Excel in Europe and elsewhere, LibreOffice, pandas: the same one row."""
    assert [FOX] == rows(tmp_path, "jobs.csv", content)


@pytest.mark.parametrize("order", ["utf-16", "utf-16-be"])
def test_utf_16(tmp_path: Path, order: str) -> None:
    """Excel's Unicode text is read by its mark."""
    mark = "\ufeff" if order != "utf-16" else ""
    content = f"{mark}model\tprompt\tduration\r\nkling-2\tA fox, running\t5\r\n".encode(order)

    assert [FOX] == rows(tmp_path, "jobs.tsv", content)


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_separators_inside_texts(tmp_path: Path, sign: str) -> None:
    """Only a line feed ends a line: other separators belong to the prompt."""
    prompt = f"one{sign}two"
    table = rows(tmp_path, "a.csv", f"model,prompt\nkling-2,{prompt}\n")
    escaped = prompt if ord(sign) > 0x1F else prompt.replace(sign, f"\\u{ord(sign):04x}")
    lines = rows(tmp_path, "a.jsonl", f'{{"model": "kling-2", "prompt": "{escaped}"}}\r\n')

    assert [{"model": "kling-2", "input": {"prompt": prompt}}] == table == lines


def test_cell_of_several_lines(tmp_path: Path) -> None:
    """A prompt in quotes may have lines."""
    (body,) = rows(tmp_path, "a.csv", 'model,prompt\r\nkling-2,"one\r\ntwo"\r\n')

    assert "one\r\ntwo" == body["input"]["prompt"]


def test_null_of_pandas(tmp_path: Path) -> None:
    """An empty cell of a data frame is null in JSON Lines: no value."""
    line = '{"model": "kling-2", "prompt": "A", "notify": null, "negative_prompt": null}'

    assert [{"model": "kling-2", "input": {"prompt": "A"}}] == rows(tmp_path, "a.ndjson", line)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", ",model,prompt\n0,kling-2,A\n", "column 1 has no name"),
        ("a.csv", "model,prompt,prompt\nkling-2,A,B\n", "two columns are named prompt"),
        ("a.csv", "model,prompt\n\nkling-2,A,B\n", "row 3: has more cells"),
        ("a.csv", "sep=;\nmodel;prompt\nkling-2;A;B\n", "row 3: has more cells"),
        ("a.csv", 'model,prompt\nkling-2,"A\n', "row 2: unexpected end"),
        ("a.csv", "model,prompt\nkling-2,caf\xe9\n".encode("latin-1"), "is not UTF-8"),
        ("a.csv", "model,prompt\n,\n", "holds no row"),
        ("a.xlsx", b"PK", "must end in"),
    ],
)
def test_refused(tmp_path: Path, name: str, content: str | bytes, why: str) -> None:
    """What could be read in two ways is refused with the reason."""
    with pytest.raises(FileError, match=why):
        rows(tmp_path, name, content)
