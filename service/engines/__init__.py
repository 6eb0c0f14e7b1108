"""
The engines: they run units of work when these are due.

Enters: one function per kind of work, and the due kinds. Leaves: nothing; the
functions are called. May import: everything before web, demo and cli.
"""

from __future__ import annotations
