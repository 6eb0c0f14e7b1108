"""Verbs that are imported when they run, so that help and the other verbs come at once."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from inspect import cleandoc
from typing import Any

import typer
from typer._click.shell_completion import CompletionItem
from typer.main import get_command

from service.cli.help import PLAIN, Acting, Group, Verb

#: By the name of a verb: where it is, after ``service.cli.``, and what it does.
Section = dict[str, tuple[str, str]]


def imported(target: str) -> Any:
    """What a target names: a module after ``service.cli.``, a colon and a name in it."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(f"service.cli.{module}"), attribute)


def load(name: str, target: str, *, acting: bool) -> Any:
    """
    The verb.

    Args:
        target: its module and function, such as ``jobs:show``; or a group.
        acting: whether it acts for one account.
    """
    found = imported(target)
    if isinstance(found, Group):
        return found
    if not isinstance(found, typer.Typer):
        run, found = found, typer.Typer(**PLAIN)
        found.command(name, cls=Acting if acting else Verb)(run)
    return get_command(found)


def starting(verbs: Section, beginning: str) -> list[CompletionItem]:
    """The verbs that begin so, for the shell, without loading them."""
    return [
        CompletionItem(name, help=text)
        for name, (_, text) in verbs.items()
        if name.startswith(beginning)
    ]


class LazyGroup(Group):
    """A verb that has verbs of its own; all but those of `general` act for one account."""

    def __init__(self, name: str, text: str, verbs: Section, general: Collection[str] = ()) -> None:
        super().__init__(name=name, help=cleandoc(text), rich_markup_mode=None)
        self._verbs, self._general = verbs, general
        # Their names: the framework suggests one for a misspelt verb.
        self.commands = dict.fromkeys(verbs)  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the help page."""
        return list(self._verbs)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb, from its module."""
        if cmd_name not in self._verbs:
            return None
        acting = cmd_name not in self._general
        return load(cmd_name, self._verbs[cmd_name][0], acting=acting)

    def short_helps(self) -> list[tuple[str, str]]:
        """The verbs with what they do, without loading them."""
        return [(name, text) for name, (_, text) in self._verbs.items()]

    def shell_complete(self, ctx: Any, incomplete: str) -> list[CompletionItem]:
        """The verbs that begin so, without loading them."""
        return starting(self._verbs, incomplete)
