"""
An app compiles the addresses that it serves and the templates that it shows; here once per run.

A process makes one app, but most tests of the web make one each: that took longer than the rest
of what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule
from werkzeug.routing.rules import RulePart


class CompiledTemplates(BytecodeCache):
    """The code of all templates, by their name and text."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill in the code, if an app has compiled it."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code for the next app."""
        self._codes[bucket.key, bucket.checksum] = bucket.code


def share_compiled_apps() -> None:
    """Let all apps of this process share them."""
    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": CompiledTemplates()}
    compile_builder = Rule._compile_builder
    builders: dict[tuple[Any, ...], Callable[..., tuple[str, str]]] = {}

    def shared(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        # What the function is made of; the rule itself is an argument of it.
        key = (rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown)
        if key not in builders:
            builders[key] = compile_builder(rule, append_unknown)
        return builders[key]

    Rule._compile_builder = shared  # type: ignore[assignment, method-assign]
    parse_rule = Rule._parse_rule
    parsed: dict[str, tuple[list[RulePart], list[tuple[bool, str]], dict[str, Any]]] = {}

    def parts(rule: Rule, text: str) -> Iterable[RulePart]:
        if text not in parsed:
            before = len(rule._trace)
            found = list(parse_rule(rule, text))
            parsed[text] = found, rule._trace[before:], dict(rule._converters)
            return found
        found, trace, converters = parsed[text]
        rule._trace += trace
        rule._converters |= converters
        rule.arguments |= converters.keys()
        return found

    Rule._parse_rule = parts  # type: ignore[assignment, method-assign]
