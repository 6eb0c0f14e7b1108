"""
SQLAlchemy compiles a statement once per engine; here, where each test has an engine, once per run.

Half of the time of a test that has few statements would go into compiling them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event


class CompiledStatements(dict[Any, Any]):
    """The compiled statements of all engines of a kind: their keys begin with the dialect."""

    def get(self, key: Any, default: Any = None) -> Any:
        """The statement, whichever engine's it was."""
        return super().get(_of_kind(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_of_kind(key), value)


def _of_kind(key: Any) -> Any:
    dialect, *rest = key
    return (dialect.name, dialect.driver, *rest)


def share_compiled_statements() -> None:
    """Let all engines of this process share them, unless a test asks for a cache of its own."""
    shared = CompiledStatements()

    def connected(connection: Connection) -> None:
        connection.execution_options(compiled_cache=shared)

    event.listen(Engine, "engine_connect", connected)
