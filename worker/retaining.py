"""Retention by itself: what ended longer ago than it is kept is archived and removed, some each tick."""

import time
from contextlib import closing
from typing import Final

from mpesa_balance import logs, retention
from mpesa_balance.archives import Archive
from worker import metrics
from worker.house import House

logger = logs.get_logger(__name__)

#: A tick removes for so long, well below what a task may take; the next one goes on. In seconds.
_AT_MOST: Final = 20

#: Who removes it, in the audit.
ACTOR: Final = "retention"


def prune(house: House) -> None:
    """Archive and remove what ended long ago, for a while; nothing where everything is kept for ever."""
    kept = house.settings.retention
    if not kept.days:
        return
    until = time.monotonic() + _AT_MOST
    with closing(Archive(kept.directory, house.database.sealer)) as archive:
        for pruned in retention.prune(house.database, archive, kept.days, ACTOR):
            metrics.pruned(pruned.rows, pruned.size)
            logger.info("pruned", archive=archive.path.name, rows=sum(pruned.rows.values()))
            if time.monotonic() > until:
                return
