"""Links of results: found in any form, and only where a vendor puts its result."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from service.providers.bodies import canonical
from service.providers.links import ResultNames, find_film, find_link

ORIGIN = "https://api.example"
VIDEO = "https://cdn.example/a.mp4?sign=x,y"
NAMES = ResultNames(
    ("resultjson", "resulturls", "videos", "video", "works", "resource", "output", "url"),
    open=frozenset({"output"}),
)


def found(*nodes: dict[str, Any]) -> str | None:
    """The link in these objects."""
    return find_link(map(canonical, nodes), NAMES, ORIGIN)


@pytest.mark.parametrize(
    "result",
    [
        [VIDEO],
        VIDEO,
        f"  {VIDEO}\r\n",
        f"<{VIDEO}>",
        json.dumps([VIDEO]),
        json.dumps(VIDEO),
        json.dumps(json.dumps([VIDEO])),
        f"{VIDEO}, https://cdn.example/b.mp4",
        f"{VIDEO}\nhttps://cdn.example/b.mp4",
        [None, "", 7, VIDEO],
        [{"url": VIDEO}],
        {"video": {"url": VIDEO}},
        {"works": [{"resource": {"resource": VIDEO}}]},
        {"0": VIDEO},
        ["https://cdn.example/cover.JPG?x=1", VIDEO],
        ["http://[", "https://", VIDEO],
        "https:" + VIDEO.removeprefix("https:"),
        VIDEO.removeprefix("https:"),
    ],
)
def test_forms_of_a_result(result: Any) -> None:
    """One link or several, as list, text, object, or JSON of any of them."""
    assert VIDEO == found({"resultUrls": result})


def test_link_without_a_host() -> None:
    """A path is meant at the vendor."""
    assert f"{ORIGIN}/files/a.mp4" == found({"resultUrls": ["/files/a.mp4"]})


@pytest.mark.parametrize("blanks", [" ", "  ", "\x7f"])
def test_blanks_in_a_name(blanks: str) -> None:
    """A link with blanks in it works in every player, and as a request once they are encoded."""
    expected = f"https://cdn.example/my{quote(blanks)}film.mp4"

    assert expected == found({"resultUrls": [f"https://cdn.example/my{blanks}film.mp4"]})


@pytest.mark.parametrize("link", ["HTTPS://cdn.example/a", "http://cdn.example/a"])
def test_schemes(link: str) -> None:
    """Both schemes count, in any case."""
    expected = link.replace("HTTPS", "https")
    assert expected == (found({"resultUrls": link}) or "").replace("HTTPS", "https")


@pytest.mark.parametrize(
    "link", ["file:///etc/passwd", "ftp://x/a.mp4", "javascript:1", "a.mp4", "", "s3://b/a", 7]
)
def test_no_links(link: Any) -> None:
    """What nobody can fetch over HTTP is no link."""
    assert found({"resultUrls": [link], "url": {"a": link}}) is None


def test_only_under_a_name_of_results() -> None:
    """The images and the callback that went in are never taken for the result."""
    asked = {"image_url": VIDEO, "callBackUrl": VIDEO, "param": json.dumps({"video": VIDEO})}

    assert found(asked | {"cover": VIDEO, "resultJson": {"image": VIDEO}}) is None


def test_any_name_in_an_open_object() -> None:
    """Segmind's output names its link differently from model to model, but not as a cover."""
    cover = {"cover_url": "https://cdn.example/x", "thumbnail": {"url": "https://cdn.example/y"}}

    assert VIDEO == found({"output": cover | {"anything": {"b": [7, None, VIDEO]}}})
    assert found({"output": cover}) is None


def test_picture_where_there_is_nothing_else() -> None:
    """A link that looks like a picture is better than none: its bytes decide later."""
    assert "https://cdn.example/a.png" == found({"resultUrls": ["https://cdn.example/a.png"]})


FILM = "https://cdn.example/a.mp4"


@pytest.mark.parametrize(
    "text",
    [
        f"['{FILM}']",
        f"{{'resultUrls': ['{FILM}']}}",
        f"![the video]({FILM})",
        f"[the video]({FILM}).",
        f'<video src="{FILM}"></video>',
        f"<p>{FILM}</p>",
        FILM.replace("/", "\\/"),
        quote(FILM, safe=""),
    ],
)
def test_film_in_a_text(text: str) -> None:
    """Of a task that is done, a film's link is found in whatever text the vendor puts it."""
    nodes = [canonical({"resultJson": text, "msg": "as in https://cdn.example/sample.mp4"})]

    assert FILM == find_film(nodes, NAMES, ORIGIN)
    assert find_link(nodes, NAMES, ORIGIN) is None


@pytest.mark.parametrize("text", ["see https://docs.example/a", "a.mp4", "https%3A", "https://"])
def test_no_film_in_a_text(text: str) -> None:
    """A link that is no film's, and a film without a link, are no result."""
    assert find_film([{"resultjson": text}], NAMES, ORIGIN) is None


def test_order() -> None:
    """The first object and the most specific name come first."""
    second, third = "https://cdn.example/b.mp4", "https://cdn.example/c.mp4"

    assert VIDEO == found({"url": second, "resultUrls": [VIDEO]}, {"resultUrls": [third]})


def test_deep_objects() -> None:
    """However deep an object goes, it ends."""
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"video": deep, "videos": [deep]}

    assert found(deep) is None
