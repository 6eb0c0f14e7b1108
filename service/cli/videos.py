"""`videos`: list and prune our copies."""

from __future__ import annotations

from service.cli.lazy import LazyGroup

group = LazyGroup(
    "videos",
    """
    Stored videos: list and prune.

    Examples:
      clipbell videos list
      clipbell videos prune --dry-run
    """,
    {
        "list": ("videos_list:list_videos", "List the newest videos."),
        "prune": ("videos_prune:prune", "Delete old videos and rows now."),
    },
    general=("prune",),
)
