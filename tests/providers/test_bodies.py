"""Bodies: JSON and forms in whatever wrapping, and nothing that raises."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.providers.bodies import as_id, canonical, ids_in_text, read_body, unfold

SAID: dict[str, Any] = {"code": 200, "data": {"taskId": "ab12", "failMsg": "nur für Ältere"}}
TEXT = json.dumps(SAID, ensure_ascii=False)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TEXT.encode(), ""),
        (TEXT.encode(), "text/plain"),
        (TEXT.encode(), "application/x-www-form-urlencoded"),
        (TEXT.encode("utf-8-sig"), "application/json"),
        (TEXT.encode("utf-16"), ""),
        (TEXT.encode("latin-1"), "application/json; charset=ISO-8859-1"),
        (TEXT.encode("cp1252"), 'application/json;charset="windows-1252"'),
        (TEXT.encode(), "application/json; charset=no-such-charset"),
        (f"\r\n  {TEXT}\r\n".encode(), ""),
        (json.dumps(TEXT).encode(), ""),
        (json.dumps(json.dumps(TEXT)).encode(), ""),
        (quote(TEXT).encode(), ""),
        (f"{TEXT}=".encode(), ""),
        (f"callback({TEXT});".encode(), "application/javascript"),
        (f")]}}',\n{TEXT}".encode(), ""),
        (f"data: {TEXT}\n\n".encode(), "text/event-stream"),
        (f"Warning: undefined key in api.php on line 7\n{TEXT}".encode(), ""),
        (f"{TEXT}\n<!-- served by node 3 -->".encode(), ""),
        (f"{TEXT}{TEXT}".encode(), ""),
    ],
)
def test_json_in_any_wrapping(body: bytes, content_type: str) -> None:
    """Byte order mark, charset, blanks, and text in text make no difference."""
    assert SAID == read_body(body, content_type)


def test_chinese_in_its_own_charset() -> None:
    """A vendor's words come through where its header names the charset."""
    body = '{"failMsg": "内容审核不通过"}'.encode("gb18030")

    assert {"failMsg": "内容审核不通过"} == read_body(body, "application/json; charset=GB18030")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (urlencode({"code": 200, "taskId": "a b"}), {"code": "200", "taskId": "a b"}),
        ("data[taskId]=ab12&data[n][0]=x", {"data": {"taskId": "ab12", "n": {"0": "x"}}}),
        ("data.taskId=ab12", {"data": {"taskId": "ab12"}}),
        ("urls[]=a&urls[]=b&urls[]=c", {"urls": ["a", "b", "c"]}),
        ("a=1&a[b]=2", {"a": "1"}),
        ("a=&b=1", {"a": "", "b": "1"}),
    ],
)
def test_forms(form: str, expected: Any) -> None:
    """A form becomes the object that it stands for."""
    assert expected == read_body(form.encode())


def test_json_in_a_form_field() -> None:
    """What stands as JSON text in a form is read when it is looked at."""
    found = read_body(urlencode({"payload": TEXT}).encode())

    assert SAID == unfold(found["payload"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"7",
        b"<html><a href='x=1'>",
        b"<p>{}</p>",
        b"{",
        b"[" * 100_000,
        b"plain words",
    ],
)
def test_nothing_to_read(body: bytes) -> None:
    """HTML, broken JSON and bare values are neither JSON nor a form."""
    assert read_body(body) is None


@given(st.binary(), st.text())
def test_any_bytes(body: bytes, content_type: str) -> None:
    """No body raises, and what is read can be stored."""
    json.dumps(read_body(body, content_type), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ab12", "ab12"),
        (" ab12\n", "ab12"),
        (7, "7"),
        (12345678901234567890, "12345678901234567890"),
        (7.0, "7"),
        (7.5, None),
        (1e30, None),
        (True, None),
        (None, None),
        ("", None),
        ("two words", None),
        ("x" * 201, None),
        ("a\x00b", None),
        (["ab12"], None),
    ],
)
def test_ids(value: Any, expected: str | None) -> None:
    """A number is an id as well as a text; what cannot be asked for is none."""
    assert expected == as_id(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"code":200,"data":{"taskId":"ab12cd"',
        "<xml><task_id>ab12cd</task_id></xml>",
        'Content-Disposition: form-data; name="taskId"\r\n\r\nab12cd\r\n--x--',
        "Task-ID: ab12cd",
        "id=ab12cd",
        "%7B%22requestId%22%3A%22ab12cd%22",
    ],
)
def test_ids_in_any_other_text(text: str) -> None:
    """An id is found by the name before it, in a format that nobody has announced."""
    assert ["ab12cd"] == list(ids_in_text(text))


def test_words_that_end_alike() -> None:
    """``void`` and ``grid`` are no names of ids."""
    assert [] == list(ids_in_text("void: abcdef, grid=abcdef, idea: abcdef"))


def test_canonical() -> None:
    """All spellings of a name are one, and the first counts."""
    assert {"taskid": 1, "state": 2} == canonical({"task_id": 1, "taskId": 9, "State": 2})
