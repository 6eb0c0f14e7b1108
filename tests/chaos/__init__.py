"""Proofs under fire: real processes, killed with SIGKILL, and nothing lost or paid twice."""

from __future__ import annotations
