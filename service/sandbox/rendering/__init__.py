"""The sandbox's videos: a real MP4 drawn from the prompt."""

from __future__ import annotations
