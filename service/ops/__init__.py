"""
Tools of the operator: health, doctor, metrics, logs, setup, key rotation, upkeep.

Enters: the wiring or its parts. Leaves: checks with their fixes, figures, log
lines. May import: everything before web, demo and cli.
"""

from __future__ import annotations
