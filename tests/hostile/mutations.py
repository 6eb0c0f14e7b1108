"""The hostile requests, by kind: each kind makes raw bytes from a random source."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from service.model import utc_now
from service.signing import UrlSigner

METHODS = ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "POSTT", "PRI")
PATHS = ("/v1/jobs", "/v1/subscriptions", "/v1/hooks", "/login", "/new", "/v2/kling-2", "/u/x")
JSON = "Content-Type: application/json"


@dataclass(frozen=True)
class Target:
    """What the requests are aimed at: a job's callback token, and the keys that signed it."""

    token: str
    keys: list[str]
    job_id: str
    api_key: str


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """A request's bytes."""
    length = f"Content-Length: {len(body)}"
    lines = [f"{method} {path} HTTP/1.1", "Host: x", length, *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def callback(token: str, body: bytes = b"{}", *headers: str) -> bytes:
    """A callback with that token."""
    return request("POST", f"/callbacks/{token}", body, *headers)


def _mutated(random: Random, target: Target) -> bytes:
    at = random.randrange(len(target.token))
    other = random.choice("ABab09-_=.%")
    token = target.token[:at] + other + target.token[at + 1 :]
    return callback(token if token != target.token else f"{token}=")


def _truncated(random: Random, target: Target) -> bytes:
    return callback(target.token[: random.randrange(1, len(target.token))])


def _signed(target: Target, key: str, purpose: str, days: int) -> str:
    signer = UrlSigner([key], purpose, "")
    ends = utc_now() + timedelta(days=days)
    return signer.url_for(ends, job=target.job_id, provider="apixo").lstrip("/")


def _rotated_out(random: Random, target: Target) -> bytes:
    return callback(_signed(target, f"{random.getrandbits(300):x}", "callback", 1))


def _wrong_purpose(random: Random, target: Target) -> bytes:
    purpose = random.choice(("video", "login", "unsubscribe", "image", "session"))
    return callback(_signed(target, target.keys[0], purpose, 1))


def _expired(random: Random, target: Target) -> bytes:
    return callback(_signed(target, target.keys[0], "callback", -random.randrange(1, 400)))


def _oversized(random: Random, target: Target) -> bytes:
    length = random.choice((1048577, 10**9, 10**18, 10**40))
    head = f"POST /callbacks/{target.token} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + b"x" * random.randrange(1000)


def _unfinished(random: Random, target: Target) -> bytes:
    whole = callback(target.token, b"x" * 500)
    return whole[: random.randrange(len(whole))]


def _chunked(random: Random, target: Target) -> bytes:
    chunk = random.choice(
        (b"zz\r\n", b"-1\r\nab\r\n", b"fffffffffffffffff\r\n", b"3\r\nabcdef\r\n")
    )
    path = random.choice((f"/callbacks/{target.token}", *PATHS))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + chunk + b"0\r\n\r\n"


def _wrong_types(random: Random, target: Target) -> bytes:
    value: Any = random.choice(([], {}, "", 0, -1, 1e308, True, None, [[]], {"": {}}))
    fields = ("model", "input", "provider", "notify", "metadata", "channel", "target", "event")
    body = {random.choice(fields): value for _ in range(random.randrange(4))}
    return _api(random, target, json.dumps(random.choice((body, value))).encode())


def _api(random: Random, target: Target, body: bytes) -> bytes:
    path = random.choice(("/v1/jobs", "/v1/subscriptions", "/v1/hooks", "/v1/jobs?dry_run=maybe"))
    return request("POST", path, body, JSON, f"x-api-key: {target.api_key}")


def _nested(random: Random, target: Target) -> bytes:
    depth = random.choice((60, 1000, 50_000))
    opening = random.choice((b"[", b'{"a":'))
    return _api(random, target, opening * depth)


def _duplicate_keys(random: Random, target: Target) -> bytes:
    pairs = ",".join(f'"model":{random.randrange(9)}' for _ in range(random.randrange(2, 50)))
    return _api(random, target, f"{{{pairs}}}".encode())


def _nul_and_surrogates(random: Random, target: Target) -> bytes:
    bad = random.choice((b'"\\u0000"', b'"\\ud800"', b'"\xff\xfe"', b"\x00", b'"\\udfff\\ud800"'))
    return _api(random, target, b'{"model":' + bad + b',"input":{"prompt":' + bad + b"}}")


def _odd_paths(random: Random, target: Target) -> bytes:
    tail = random.choice(("%00", "%ff", "../../etc/passwd", "%2e%2e/", "\udcff", "?" + "a" * 3000))
    return request(random.choice(("GET", "POST")), random.choice((*PATHS, "/v", "/i")) + "/" + tail)


def _header_flood(random: Random, target: Target) -> bytes:
    count, size = random.choice(((500, 10), (90, 700), (2, 60_000), (1, 200_000)))
    return callback("x", b"", *(f"X-{n}: {'a' * size}" for n in range(count)))


def _wrong_method(random: Random, target: Target) -> bytes:
    return request(random.choice(METHODS), random.choice((*PATHS, "/callbacks/x", "/", "*")))


def _bad_heads(random: Random, target: Target) -> bytes:
    line = random.choice(("\n bad", "X: \x00", ": x", "X\x01: y", "Content-Length: 5", "Host: y"))
    line = random.choice((line, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"))
    return callback("x", b"ab", line)


def _bomb(random: Random, target: Target) -> bytes:
    body = gzip.compress(b"\0" * random.choice((2_000_000, 9_000_000)))
    return callback(target.token, body, "Content-Encoding: gzip")


def _noise(random: Random, target: Target) -> bytes:
    return random.randbytes(random.randrange(1, 400)) + b"\r\n\r\n"


def _strangers_at_every_route(random: Random, target: Target) -> bytes:
    key = random.choice(("", "x-api-key: clb_no", "Authorization: Bearer " + "a" * 300))
    return request("POST", random.choice(PATHS), b'{"model":"kling-2"}', JSON, key or "X-A: b")


KINDS: dict[str, Callable[[Random, Target], bytes]] = {
    "mutated token": _mutated,
    "truncated token": _truncated,
    "rotated-out key": _rotated_out,
    "wrong purpose": _wrong_purpose,
    "expired": _expired,
    "oversized": _oversized,
    "unfinished": _unfinished,
    "malformed chunks": _chunked,
    "wrong types": _wrong_types,
    "nesting bombs": _nested,
    "duplicate keys": _duplicate_keys,
    "NUL and surrogates": _nul_and_surrogates,
    "odd paths": _odd_paths,
    "header floods": _header_flood,
    "wrong methods": _wrong_method,
    "malformed heads": _bad_heads,
    "gzip bombs": _bomb,
    "noise": _noise,
    "without a key": _strangers_at_every_route,
}
