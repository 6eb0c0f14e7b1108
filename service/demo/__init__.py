"""
`clipbell demo`: a sandbox, web, worker and sinks as processes, and their story.

Enters: a folder and a port. Leaves: jobs and deliveries that were checked. May
import: everything.
"""

from __future__ import annotations
