"""
Where the demo's messages arrive: Slack, a mail inbox, REST hooks, and their page.
"""

from __future__ import annotations
