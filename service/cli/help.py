"""
Help pages: what a verb does, its options in groups, and examples to copy.

A verb's docstring is its page. What follows ``Examples:`` is printed as it stands.
"""

from __future__ import annotations

import gc
from contextvars import ContextVar
from inspect import cleandoc
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

EXAMPLES = "Examples:"
#: Settings of the framework that hold for each verb.
PLAIN: Any = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}
#: The account that `--account` names.
CHOSEN_ACCOUNT: ContextVar[str | None] = ContextVar("account", default=None)


class Verb(TyperCommand):
    """A verb, whose help page shows no types and ends with its examples."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The options, then the arguments by name, in brackets where one can be left out."""
        named = [p for p in self.get_params(ctx) if p.param_type_name == "argument"]
        names = [(_argument(p), p.required) for p in named]
        return ["[OPTIONS]", *(name if needed else f"[{name}]" for name, needed in names)]

    def invoke(self, ctx: Any) -> Any:
        """Run it. All that is loaded by now stays, and is searched for garbage no more."""
        gc.freeze()
        gc.enable()
        return super().invoke(ctx)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what stands before the examples."""
        _write_text(self.help or "", formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, group by group, then the examples."""
        _write_params(self, ctx, formatter)
        _write_examples(self.help or "", formatter)


class Group(TyperGroup):
    """The same for a verb that has verbs of its own."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what stands before the examples."""
        _write_text(self.help or "", formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the verbs, the options and the examples."""
        with formatter.section("Commands"):
            formatter.write_dl(self.short_helps())
        _write_params(self, ctx, formatter)
        _write_examples(self.help or "", formatter)

    def short_helps(self) -> list[tuple[str, str]]:
        """The verbs with what they do."""
        return [(name, one.get_short_help_str(200)) for name, one in self.commands.items()]


def _choose(name: str | None) -> None:
    # A group and its verb both take the option: the one that was given counts.
    if name is not None:
        CHOSEN_ACCOUNT.set(name)


_holder = typer.Typer(add_completion=False)


@_holder.command()
def _shared(
    _: str = typer.Option(
        None,
        "--account",
        metavar="NAME",
        help="Account, by name or id. Default: the first one.",
        callback=_choose,
        expose_value=False,
    ),
) -> None:
    """Declare the options that such verbs share."""


_OPTIONS = get_command(_holder).params


class Acting(Verb):
    """A verb that acts for an account: it has the shared options besides its own."""

    def __init__(self, *args: Any, params: list[Any], **rest: Any) -> None:
        super().__init__(*args, params=[*params, *_OPTIONS], **rest)


class ActingGroup(Group):
    """The same for a verb that has verbs of its own."""

    def __init__(self, *args: Any, params: list[Any], **rest: Any) -> None:
        super().__init__(*args, params=[*params, *_OPTIONS], **rest)


def new_group(text: str, cls: type[Group] = Group, **settings: Any) -> typer.Typer:
    """A verb that has verbs of its own."""
    return typer.Typer(cls=cls, help=cleandoc(text), **PLAIN, **settings)


def _write_text(text: str, formatter: Any) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(text.partition(EXAMPLES)[0].strip())


def _write_examples(text: str, formatter: Any) -> None:
    examples = text.partition(EXAMPLES)[2].strip("\n").splitlines()
    if examples:
        with formatter.section("Examples"):
            formatter.write("".join(f"  {line.strip()}\n" for line in examples))


def _write_params(command: Any, ctx: Any, formatter: Any) -> None:
    """Write the arguments, then the options by their panel; those of every verb come last."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        if param.param_type_name == "argument":
            title, names = "Arguments", _argument(param)
        else:
            # ``-p, --prompt PROMPT``, without a type.
            title, names = (
                param.rich_help_panel or "Options",
                ", ".join(sorted(param.opts, key=len)),
            )
            if not param.is_flag:
                names += f" {param.metavar or param.name.upper().strip('_')}"
        # What it means, what it may be, and its default.
        parts = [param.help or ""]
        if param.type_descriptor.choices:
            parts.append(f"One of {', '.join(map(str, param.type_descriptor.choices))}.")
        default = param.get_default(ctx, call=False)
        if default not in (None, False, "", []) and param.show_default:
            shown = " ".join(map(str, default)) if isinstance(default, list) else default
            parts.append(f"Default: {shown}.")
        described = " ".join(part for part in parts if part)
        sections.setdefault(title, []).append((names, described))
    options = sections.pop("Options", [])
    for title, rows in (*sections.items(), ("Options", options)):
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


def _argument(param: Any) -> str:
    return str(param.metavar or param.name.upper())
