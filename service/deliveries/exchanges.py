"""The requests and answers of attempts, as their account may see them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from service import store
from service.deliveries.subscriptions import target_of
from service.formatting import harmless
from service.model import Delivery, Exchange
from service.signing import Encryptor, digest

#: Headers of the connection; curl makes its own.
_OF_CONNECTION = ("accept-encoding", "connection", "content-length")


def exchanges_of(
    tx: Connection, encryptor: Encryptor, deliveries: Sequence[Delivery]
) -> dict[tuple[str, int], Exchange]:
    """
    The exchanges of these deliveries, by delivery id and number of the attempt.

    A webhook's URL is complete if the subscription still has it. Slack's is a secret
    itself and stays masked.
    """
    found = store.deliveries.all_exchanges(tx, [delivery.id for delivery in deliveries])
    for delivery in deliveries:
        subscription = store.subscriptions.find(tx, delivery.subscription_id)
        if delivery.channel != "webhook" or subscription is None:
            continue
        target = target_of(encryptor, subscription)
        for key, exchange in found.items():
            if key[0] == delivery.id and exchange.target_digest == digest(target):
                found[key] = replace(exchange, url=target)
    return found


def as_curl(method: str, url: str, headers: Mapping[str, str], body: str) -> str:
    """A sent request as a curl command for a shell."""
    lines = [f"curl -i -X {method} {_quoted(url)}"]
    for name, value in headers.items():
        if name.lower() not in _OF_CONNECTION:
            lines.append("-H " + _quoted(f"{name}: {value}"))
    lines.append("--data-binary " + _quoted(body))
    return " \\\n  ".join(lines)


def _quoted(text: str) -> str:
    """The text quoted for a shell; control characters are escaped as in C."""
    if harmless(text) == text:
        return shlex.quote(text)
    safe = text.replace("\\", r"\\").replace("'", r"\'")
    octal = harmless(safe, lambda char: "".join(f"\\{byte:03o}" for byte in char.encode()))
    return f"$'{octal}'"
