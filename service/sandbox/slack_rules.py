"""
What Slack would say to a message: its documented limits, as a list of faults.

Written from Slack's pages "Block Kit: blocks" and "Composition objects" and
apart from the code that makes our cards, so that each checks the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from service.errors import Fault

BLOCKS = 50
HEADER = 150
SECTION = 3000
BUTTON = 75
URL = 3000
ALT = 2000
ELEMENTS = {"context": 10, "actions": 25}
#: Above this a webhook refuses the message, although no page says so.
TOTAL = 13_000

Faults = Iterator[Fault]


def check_message(payload: Any) -> list[Fault]:
    """All that is wrong with a message; empty when Slack would show it. `code` is Slack's word."""
    if not isinstance(payload, dict):
        return [Fault("", "invalid_payload", "the body is no JSON object")]
    return list(_message(payload))


def _message(payload: dict[str, Any]) -> Faults:
    if not _is_text(payload.get("text"), TOTAL):
        yield Fault("/text", "no_text", "must be there: notifications and screen readers use it")
    blocks = payload.get("blocks", [])
    if not isinstance(blocks, list) or len(blocks) > BLOCKS:
        yield Fault("/blocks", "invalid_blocks_format", f"must be a list of at most {BLOCKS}")
        return
    if len(str(payload)) > TOTAL:
        yield Fault("/blocks", "msg_blocks_too_long", f"more than {TOTAL} characters in all")
    for number, block in enumerate(blocks):
        yield from _block(block, f"/blocks/{number}")
    yield from _unique([b for b in blocks if isinstance(b, dict)], "block_id", "/blocks")


def _block(block: Any, at: str) -> Faults:
    kind = block.get("type") if isinstance(block, dict) else None
    check = _BLOCKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        yield _bad(f"{at}/type", f"{kind!r} is no block; known here: {', '.join(_BLOCKS)}")
        return
    yield from check(block, at)


def _header(block: dict[str, Any], at: str) -> Faults:
    yield from _text(block.get("text"), f"{at}/text", HEADER, only_plain=True)


def _section(block: dict[str, Any], at: str) -> Faults:
    yield from _text(block.get("text"), f"{at}/text", SECTION)


def _image(block: dict[str, Any], at: str) -> Faults:
    url = block.get("image_url")
    yield from _url(url, f"{at}/image_url", schemes=("https",))
    if not _is_fetchable(url):
        yield _bad(f"{at}/image_url", "downloading image failed: Slack cannot reach this host")
    if not _is_text(block.get("alt_text"), ALT):
        yield _bad(f"{at}/alt_text", f"must be 1 to {ALT} characters")


def _context(block: dict[str, Any], at: str) -> Faults:
    for element, place in _elements(block, at):
        yield from _text(element, place, SECTION)
    yield from _count(block, at)


def _actions(block: dict[str, Any], at: str) -> Faults:
    for element, place in _elements(block, at):
        yield from _button(element, place)
    yield from _count(block, at)
    yield from _unique([e for e, _ in _elements(block, at)], "action_id", f"{at}/elements")


def _button(button: dict[str, Any], at: str) -> Faults:
    if button.get("type") != "button":
        yield _bad(f"{at}/type", "only buttons are known here")
        return
    yield from _text(button.get("text"), f"{at}/text", BUTTON, only_plain=True)
    if "url" in button:
        yield from _url(button["url"], f"{at}/url", schemes=("https", "http"))
    if button.get("style", "primary") not in ("primary", "danger"):
        yield _bad(f"{at}/style", "must be primary or danger")


def _divider(block: dict[str, Any], at: str) -> Faults:
    return iter(())


_BLOCKS: dict[str, Callable[[dict[str, Any], str], Faults]] = {
    "header": _header,
    "section": _section,
    "image": _image,
    "context": _context,
    "actions": _actions,
    "divider": _divider,
}


def _elements(block: dict[str, Any], at: str) -> list[tuple[dict[str, Any], str]]:
    found = block.get("elements")
    listed = found if isinstance(found, list) else []
    return [
        (element if isinstance(element, dict) else {}, f"{at}/elements/{number}")
        for number, element in enumerate(listed)
    ]


def _count(block: dict[str, Any], at: str) -> Faults:
    most = ELEMENTS[block["type"]]
    if not 1 <= len(_elements(block, at)) <= most:
        yield _bad(f"{at}/elements", f"must be 1 to {most}")


def _text(text: Any, at: str, most: int, only_plain: bool = False) -> Faults:
    kinds = ("plain_text",) if only_plain else ("plain_text", "mrkdwn")
    if not isinstance(text, dict) or text.get("type") not in kinds:
        yield _bad(at, f"must be a text object: {' or '.join(kinds)}")
    elif not _is_text(text.get("text"), most):
        yield _bad(f"{at}/text", f"must be 1 to {most} characters")
    elif text["type"] == "mrkdwn" and "emoji" in text:
        yield _bad(f"{at}/emoji", "belongs to plain_text only")


def _url(url: Any, at: str, schemes: tuple[str, ...]) -> Faults:
    parts = urlsplit(url) if _is_text(url, URL) else None
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        yield _bad(at, f"must be a URL with {' or '.join(schemes)}, at most {URL} characters")


def _is_fetchable(url: Any) -> bool:
    host = urlsplit(url).hostname if isinstance(url, str) else None
    try:
        return ip_address(host or "").is_global
    except ValueError:
        return bool(host) and "." in str(host) and not str(host).endswith(".localhost")


def _unique(things: list[dict[str, Any]], name: str, at: str) -> Faults:
    named = [thing[name] for thing in things if name in thing]
    if len(named) != len(set(map(str, named))):
        yield _bad(at, f"the same {name} twice")


def _is_text(text: Any, most: int) -> bool:
    return isinstance(text, str) and 1 <= len(text) <= most


def _bad(at: str, message: str) -> Fault:
    return Fault(at, "invalid_blocks", message)
