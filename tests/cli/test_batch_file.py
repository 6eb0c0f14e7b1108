"""Files as other programs write them: read as they are meant, or refused with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.cli.batch_file import FileError, RawRow, read_rows

FOX: dict[str, Any] = {"model": "kling-2", "input": {"prompt": "A fox, running", "duration": "5"}}


def read_rows_of(folder: Path, name: str, content: str | bytes) -> Iterator[RawRow]:
    """The rows of a file of that content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(path, {})


def rows(folder: Path, name: str, content: str | bytes) -> list[dict[str, Any]]:
    """Their bodies."""
    return [body for _, _, body in read_rows_of(folder, name, content)]


@pytest.mark.parametrize(
    "content",
    [
        'model,prompt,duration\nkling-2,"A fox, running",5\n',
        'model,prompt,duration\r\nkling-2,"A fox, running",5\r\n,,\r\n,,\r\n',
        'model;prompt;duration\r\nkling-2;"A fox, running";5\r\n',
        "sep=;\r\nmodel;prompt;duration\r\nkling-2;A fox, running;5\r\n",
        'sep=,\r\nmodel,prompt,duration\r\nkling-2,"A fox, running",5\r\n',
        'sep=;\rmodel;prompt;duration\rkling-2;"A fox, running";5\r',
        '"sep=;"\nmodel;prompt;duration\nkling-2;A fox, running;5\n',
        "model\tprompt\tduration\nkling-2\tA fox, running\t5\n",
        'model, prompt, duration\nkling-2, "A fox, running", 5\n',
        '\ufeff"model","prompt","duration"\n"kling-2","A fox, running","5"\n',
        'model,prompt,duration,,\nkling-2,"A fox, running",5,,\n',
        '\n\nmodel,prompt,duration\n\nkling-2,"A fox, running",5\n',
        'Model,Prompt,Duration\nkling-2,"A fox, running",5\n',
        'model,prompt,duration\nkling-2,"A fox, running",5.0\n',
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


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\x1e"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    """Lines of JSON end as in any system; a JSON text sequence puts a sign before each."""
    found = read_rows_of(tmp_path, "a.jsonl", end.join(['{"prompt": "A"}', '{"prompt": "B"}', ""]))

    assert [(1, "A"), (2, "B")] == [(number, body["input"]["prompt"]) for number, _, body in found]


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
        ("a.csv", 'model,prompt\nkling-2,"A\nfox"\nkling-2,A,B\n', "row 3: has more cells"),
        ("a.csv", 'model,prompt\nkling-2,"A\nfox\n', "row 2: unexpected end"),
        ("a.csv", "model,prompt\nkling-2,caf\xe9\n".encode("latin-1"), "is not UTF-8"),
        ("a.csv", "model,prompt\n,\n", "has no row"),
        ("a.csv", "kling-2,A fox,5\n", "the first line must name the columns"),
        ("a.csv", b"PK\x03\x04\x14\x00", "is a workbook: save it as CSV"),
        ("a.json", "[7]", "row 1: must be a JSON object"),
        ("a.json", "[{]", "the file: is not JSON"),
        ("a.jsonl", '{"x": Infinity}', "row 1: is not JSON: Infinity is not JSON"),
        ("a.xlsx", b"PK", "must end in .*; save it as CSV"),
        ("a.txt", b"PK", "must end in [^;]*$"),
    ],
)
def test_refused(tmp_path: Path, name: str, content: str | bytes, why: str) -> None:
    """What could be read in two ways is refused with the reason."""
    with pytest.raises(FileError, match=why):
        rows(tmp_path, name, content)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_array(tmp_path: Path, name: str) -> None:
    """`to_json(orient="records")` and JSON.stringify of a list: its items are the rows."""
    content = '[{"model": "kling-2", "prompt": "A"},\n {"model": "kling-2", "prompt": "B"}]'
    read = list(read_rows_of(tmp_path, name, content))

    assert [(1, "A"), (2, "B")] == [(number, body["input"]["prompt"]) for number, _, body in read]


def test_decimal_comma(tmp_path: Path) -> None:
    """Where cells are parted by semicolons, 0,5 is a half; elsewhere it is two cells or a text."""
    (body,) = rows(tmp_path, "a.csv", "model;prompt;cfg_scale\nkling-2;A, B;0,5\n")
    (quoted,) = rows(tmp_path, "b.csv", 'model,prompt,cfg_scale\nkling-2,A,"0,5"\n')

    assert {"prompt": "A, B", "cfg_scale": 0.5} == body["input"]
    assert "0,5" == quoted["input"]["cfg_scale"]


def test_names_as_people_write_them(tmp_path: Path) -> None:
    """Capitals and blanks in the header are no other columns."""
    (body,) = rows(tmp_path, "a.csv", "Model,Prompt,Negative Prompt\nkling-2,A,rain\n")

    assert {"prompt": "A", "negative_prompt": "rain"} == body["input"]


def test_model_of_the_command(tmp_path: Path) -> None:
    """Cells are numbers where the model of the whole file wants them."""
    path = tmp_path / "a.csv"
    path.write_text("prompt,cfg_scale\nA,0.5\n")
    ((_, _, body),) = read_rows(path, {"model": "kling-2"})

    assert 0.5 == body["input"]["cfg_scale"]


def test_fields_of_a_job_in_cells(tmp_path: Path) -> None:
    """Lists are parted by blanks; metadata is JSON, and a number is one."""
    content = (
        "model,prompt,events,metadata,cancel_after\n"
        'kling-2,A,job.succeeded job.failed,"{""order"": 7}",60\n'
    )
    (body,) = rows(tmp_path, "a.csv", content)

    assert ["job.succeeded", "job.failed"] == body["events"]
    assert ({"order": 7}, 60) == (body["metadata"], body["cancel_after"])
