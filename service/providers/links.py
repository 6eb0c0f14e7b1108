"""Finding the video's link in what a vendor calls the result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from service.media.containers import VIDEO_TYPES
from service.providers.bodies import MAX_DEPTH, as_id, canonical, unfold

_LINK = re.compile(r"https?://[^\s/]", re.I)
_LINK_IN_TEXT = re.compile(r"https?://[^\s\"'<>()\[\]{}|\\^`]+", re.I)
_QUOTED_LINK = re.compile(r"https?%3A%2F%2F", re.I)
_PICTURE = re.compile(r"\.(jpe?g|png|webp|gif|avif|bmp)$", re.I)
#: Never the video, whatever the object is that holds it.
_OTHER_THINGS = re.compile(
    r"thumb|cover|poster|image|frame|prompt|input|param|callback|webhook|refer|message|msg|hint"
)
_FILM = re.compile(rf"\.({'|'.join(VIDEO_TYPES)})$", re.I)


@dataclass(frozen=True)
class ResultNames:
    """
    Where a vendor puts the link of a finished video, the most specific name first.

    Only these names are followed: an answer may hold other links too, such as those of
    the images that went in. `open` are those whose objects name the link differently
    from model to model.
    """

    names: tuple[str, ...]
    open: frozenset[str] = frozenset()
    #: Names of the task's id in a result: one that is another task's is left alone.
    task_ids: tuple[str, ...] = ()


def find_link(
    nodes: Iterable[dict[str, Any]], results: ResultNames, origin: str, task_id: str | None = None
) -> str | None:
    """
    The link of the video in these objects (names as `canonical` writes them), in this order.

    Args:
        origin: the base of links that begin with a slash.
        task_id: the task whose result it is.
    """
    links = _absolute_links(nodes, results, origin, task_id, is_open=False)
    videos = (link for link in links if not _PICTURE.search(urlsplit(link).path))
    return next(videos, links[0] if links else None)


def find_film(
    nodes: Iterable[dict[str, Any]], results: ResultNames, origin: str, task_id: str | None = None
) -> str | None:
    """
    The first link in these objects whose path is a film's, under any name but those of inputs.

    For a task that is done, and shows nothing under the names of results; arguments as above.
    """
    links = _absolute_links(nodes, results, origin, task_id, is_open=True)
    return next((link for link in links if _FILM.search(urlsplit(link).path)), None)


def _absolute_links(
    nodes: Iterable[dict[str, Any]],
    results: ResultNames,
    origin: str,
    task_id: str | None,
    *,
    is_open: bool,
) -> list[str]:
    search = _Search(results, task_id, anywhere=is_open)
    texts = (text for node in nodes for text in search.links(node, is_open, MAX_DEPTH))
    return [link for text in texts if (link := _absolute(text, origin))]


def _absolute(text: str, origin: str) -> str | None:
    """The text as an address that can be asked; None for what is none."""
    try:
        link = urljoin(origin, text)
        # Names of files come with blanks in them, which players bear and requests do not.
        link = re.sub(r"[\x00-\x20\x7f]", lambda found: quote(found[0]), link)
        return link if _LINK.match(link) and urlsplit(link).hostname else None
    except ValueError:
        return None


@dataclass(frozen=True)
class _Search:
    """`anywhere`: a text may hold more than links."""

    results: ResultNames
    task_id: str | None
    anywhere: bool

    def links(self, value: Any, is_open: bool, depth: int) -> Iterator[str]:
        value = unfold(value)
        if isinstance(value, str):
            yield from _links_in_text(value, anywhere=self.anywhere)
        elif isinstance(value, list) and depth:
            for inner in value:
                yield from self.links(inner, is_open, depth - 1)
        elif isinstance(value, dict) and depth:
            for name, inner in self._followed(canonical(value), is_open):
                yield from self.links(inner, is_open or name in self.results.open, depth - 1)

    def _followed(self, node: dict[str, Any], is_open: bool) -> Iterator[tuple[str, Any]]:
        """The parts of an object in which the link may be; a form numbers what is a list."""
        ids = filter(None, (as_id(node.get(name)) for name in self.results.task_ids))
        if self.task_id and next(ids, self.task_id) != self.task_id:
            return
        names = self.results.names
        yield from ((name, node[name]) for name in names if name in node)
        for name, inner in node.items():
            other = is_open and not _OTHER_THINGS.search(name)
            if name not in names and (other or name.isdecimal()):
                yield name, inner


def _links_in_text(text: str, *, anywhere: bool) -> Iterator[str]:
    """One link, or several with commas or blanks between them, or with anything around them."""
    bare = text.strip().strip("<>'\"")
    parts = re.split(r"(?<![\s,;|])[\s,;|]+(?=https?://)", bare)
    if anywhere and not (bare.startswith("/") or _LINK.match(bare)):
        plain = unquote(bare) if _QUOTED_LINK.match(bare) else bare
        found = _LINK_IN_TEXT.findall(plain.replace("\\/", "/"))
        parts = [part.rstrip(".,;!?") for part in found]
    for part in parts:
        if part.startswith("/") or _LINK.match(part):
            # Some templates escape what they fill in; a signed link would be refused like that.
            yield part.replace("&amp;", "&")
