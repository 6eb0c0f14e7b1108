"""`videos`: list and prune our copies."""

from __future__ import annotations

from typing import Any

import typer

from service import store
from service.bootstrap import Wiring
from service.cli.help import Acting, Verb, new_group
from service.cli.here import acting_account, open_here
from service.cli.output import JsonOption, ago, console, print_json, table
from service.cli.wired import open_wiring
from service.formatting import format_size, iso
from service.model import Video
from service.videos.retention import (
    ExpiredVideo,
    delete_expired,
    delete_orphans,
    expired_videos,
    purge_rows,
)

app = new_group(
    """
    Stored videos: list and prune.

    Examples:
      clipbell videos list
      clipbell videos prune --dry-run
    """
)

MANY = 100_000


@app.command("list", cls=Acting)
def list_videos(
    limit: int = typer.Option(20, min=1, max=1000, metavar="N", help="Number of videos."),
    json_: bool = JsonOption,
) -> None:
    """
    List the newest videos.

    Examples:
      clipbell videos list --limit 50
    """
    with open_here().db.read() as tx:
        page = store.videos.page(tx, acting_account(tx).id, limit)
    if json_:
        print_json([_as_json(video) for video in page])
    elif page:
        table([_row(video) for video in page])
    else:
        console().print("No videos yet.")


def _as_json(video: Video) -> dict[str, Any]:
    return {
        "id": video.id,
        "job_id": video.job_id,
        "state": video.state.value,
        "bytes": video.bytes,
        "note": video.note,
        "stored_at": iso(video.stored_at),
        "deleted_at": iso(video.deleted_at),
    }


def _row(video: Video) -> dict[str, str]:
    return {
        "job": video.job_id,
        "state": video.state.value,
        "size": format_size(video.bytes or 0),
        "stored": ago(iso(video.stored_at)),
        "note": video.note,
    }


@app.command(cls=Verb)
def prune(
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would be deleted."),
    json_: bool = JsonOption,
) -> None:
    """
    Delete what is too old now: videos beyond the limits, and old rows.

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
        videos = [{**_as_json(one.video), "reason": one.reason} for one in expired]
        print_json({"dry_run": dry_run, "videos": videos, "rows": rows, "files": files})
        return
    if expired:
        shown = [{**_row(one.video), "why": one.reason} for one in expired]
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
