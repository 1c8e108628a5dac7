"""Two beats and a worker over a day of schedules; a setting lets it pass in a minute."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from mpesa_balance import schedules
from mpesa_balance.contract import RUN_SCHEDULES
from mpesa_balance.schedules import Schedule
from mpesa_balance.timetables import Timetable
from ops.stack.programs import CHECKOUT
from tests.conftest import SHORTCODE
from tests.e2e.alone import working
from tests.integration.answers import rows
from tests.waiting import eventually
from worker.house import House

pytestmark = pytest.mark.slow

#: A day in a minute.
SPEED = 1440
COMPRESSED = {"SCHEDULE_SPEED": str(SPEED), "SCHEDULE_INTERVAL_SECONDS": "1"}

CRONTABS = ("0 */4 * * *", "30 7,12,18 * * *", "45 23 * * *")

NEVER = datetime.min.replace(tzinfo=UTC)


@contextmanager
def beating(environment: dict[str, str], folder: Path) -> Iterator[None]:
    command = (sys.executable, "-m", "celery", "-A", "worker.app", "beat", "--pidfile=", "--schedule")
    process = subprocess.Popen(
        (*command, str(folder)), env={**os.environ, **environment}, cwd=CHECKOUT, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def plan(house: House) -> list[Schedule]:
    with house.database.transaction() as connection:
        for text in CRONTABS:
            schedules.add(connection, SHORTCODE, Timetable.read(text, None, "Africa/Nairobi", 60))
        schedules.plan(connection, SPEED)
        return schedules.every(connection)


def look(house: House) -> list[Schedule]:
    with house.database.transaction() as connection:
        return schedules.every(connection)


def ticks(first: Schedule, last: datetime) -> Counter[UUID]:
    """The request of every tick from the first until `last`."""
    found, due = Counter[UUID](), first.next_due_at
    while due is not None and due <= last:
        found[replace(first, next_due_at=due).request_id] += 1
        due = first.timetable.next_after(due, first.shortcode)
    return found


def test_each_due_tick_is_opened_exactly_once(
    environment: dict[str, str], house: House, tmp_path: Path
) -> None:
    with ExitStack() as programs:
        for beat in ("first", "second"):
            programs.enter_context(beating(environment | COMPRESSED, tmp_path / beat))
        programs.enter_context(working(environment, tmp_path, **COMPRESSED))
        # While they start, more than one tick could pass, and those are made up for by one.
        eventually(lambda: rows(house, "SELECT FROM ticks WHERE job = %s", RUN_SCHEDULES), seconds=90)
        planned = plan(house)
        ends = max(one.next_due_at or NEVER for one in planned) + timedelta(days=1)
        eventually(lambda: all((one.last_due_at or NEVER) >= ends for one in look(house)), seconds=240)
    for first, now, least in zip(planned, look(house), (6, 3, 1), strict=True):
        asked = rows(house, "SELECT id FROM balance_requests WHERE requested_by = %s", f"schedule {now.id}")
        assert Counter(row["id"] for row in asked) == ticks(first, now.last_due_at or NEVER)
        assert len(asked) > least
