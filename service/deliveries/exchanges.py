"""What attempts sent and were answered, for the account's own eyes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from service import store
from service.deliveries.subscriptions import target_of
from service.formatting import harmless
from service.model import Delivery, Exchange
from service.signing import Encryptor, digest

#: Headers that belong to a connection: curl makes its own.
_OF_CONNECTION = ("accept-encoding", "connection", "content-length")


def exchanges_of(
    tx: Connection, encryptor: Encryptor, deliveries: Sequence[Delivery]
) -> dict[tuple[str, int], Exchange]:
    """
    The exchanges of those deliveries, by delivery and number of the attempt.

    A webhook's URL is whole where the subscription still has it. Slack's is a secret
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


def as_curl(exchange: Exchange, frozen: bytes | None) -> str:
    """
    The request as a command for a shell.

    Args:
        frozen: the delivery's body, which most attempts sent.
    """
    body = exchange.body if exchange.body is not None else frozen or b""
    words = ["curl", "-i", "-X", exchange.method, _quoted(exchange.url)]
    lines = [" ".join(words)]
    for name, value in exchange.headers.items():
        if name.lower() not in _OF_CONNECTION:
            lines.append("-H " + _quoted(f"{name}: {value}"))
    lines.append("--data-binary " + _quoted(body.decode("utf-8", "replace")))
    return " \\\n  ".join(lines)


def _quoted(text: str) -> str:
    """The text for a shell; one that would command the terminal is escaped as in C."""
    if harmless(text) == text:
        return shlex.quote(text)
    safe = text.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{harmless(safe, _octal)}'"


def _octal(char: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in char.encode())
