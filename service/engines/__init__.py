"""
The engines: who runs a unit of work, and when.

Enters: one function per kind of work, and what is due. Leaves: nothing; the
functions are called. May import: everything before web, demo and cli.
"""

from __future__ import annotations
