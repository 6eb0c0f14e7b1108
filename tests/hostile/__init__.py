"""
Hostile requests against a running service, and what came of them.

``PYTHONPATH=tests:. python -m hostile`` sends 100,000; ``… 5000 7`` so many by that seed.
"""

from __future__ import annotations
