"""`videos prune`: delete what is too old."""

from __future__ import annotations

import typer

from service.bootstrap import Wiring
from service.cli.output import JsonOption, console, print_json, table
from service.cli.videos_list import video_json, video_row
from service.cli.wired import open_wiring
from service.formatting import format_size
from service.videos.retention import (
    ExpiredVideo,
    delete_expired,
    delete_orphans,
    expired_videos,
    purge_rows,
)

MANY = 100_000


def prune(
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would be deleted."),
    json_: bool = JsonOption,
) -> None:
    """
    Delete old videos and rows now: those beyond the limits.

    The limits are CLIPBELL_RETENTION_DAYS and CLIPBELL_QUOTA_BYTES. The worker does
    the same by itself.

    Examples:
      clipbell videos prune --dry-run
    """
    wiring = open_wiring()
    if dry_run:
        with wiring.db.read() as tx:
            expired = expired_videos(tx, wiring.settings, wiring.clock(), MANY)
        rows = files = 0
    else:
        expired, rows, files = _prune(wiring)
    if json_:
        videos = [{**video_json(one.video), "reason": one.reason} for one in expired]
        print_json({"dry_run": dry_run, "videos": videos, "rows": rows, "files": files})
        return
    if expired:
        shown = [{**video_row(one.video), "why": one.reason} for one in expired]
        table([{name: row[name] for name in ("job", "size", "stored", "why")} for row in shown])
    size = format_size(sum(one.video.bytes or 0 for one in expired))
    would = "would be deleted" if dry_run else "were deleted"
    console().print(f"Videos that {would}: {len(expired)}, {size}.")
    if wiring.settings.retention_days is None and wiring.settings.quota_bytes is None:
        console().print("No limit is set: see CLIPBELL_RETENTION_DAYS and CLIPBELL_QUOTA_BYTES.")


def _prune(wiring: Wiring) -> tuple[list[ExpiredVideo], int, int]:
    """
    Delete all that is due.

    Returns:
        The expired videos, and how many old rows and orphaned files are gone.
    """
    now, expired, rows = wiring.clock(), [], 0
    while batch := delete_expired(wiring.db, wiring.settings, now):
        expired += batch
    while wiring.units()["remove"]():
        pass
    while count := purge_rows(wiring.db, wiring.settings, now):
        rows += count
    return expired, rows, delete_orphans(wiring.storage, wiring.settings, now)
