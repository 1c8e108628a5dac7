"""Processes end at every place that is named for it, once and twice in a row (F1)."""

from uuid import uuid4

import pytest

from mpesa_balance.crash_points import CrashPoint
from tests.faults.conftest import Arena
from tests.faults.report import Teller
from tests.faults.traffic import asking, asking_again
from tests.waiting import eventually

pytestmark = pytest.mark.faults

#: What is not known to have been sent is not sent again before its callback has had its time.
GRACE = 62


def crash(arena: Arena, points: list[CrashPoint], times: int, rate: float) -> None:
    """Arm the points, and ask until every one of them was passed."""
    for point in points:
        arena.arm(point, times)
    # A slow app has a line, which the bells of its end are for; a token that is gone is minted again.
    set_rate(arena, rate / 2)
    arena.execute(_SCHEDULE)
    for _ in range(12):
        arena.callers.ask()
    with asking(arena.callers, rate):
        eventually(lambda: bring_about(arena) or not arena.armed(), seconds=120, every=0.25)
    arena.execute("DELETE FROM schedules")
    eventually(arena.is_live, seconds=20)
    arena.end_unanswered()
    set_rate(arena, 200)


def set_rate(arena: Arena, rate: float) -> None:
    arena.execute("UPDATE daraja_apps SET requests_per_second = %s", rate)


#: The shortest interval that there is, so that one is soon due.
_SCHEDULE = "INSERT INTO schedules (shortcode, every_seconds) VALUES ('600000', 10)"


def bring_about(arena: Arena) -> None:
    """What the traffic does not do by itself, where a point waits for it."""
    waiting = str(arena.armed())
    if "token-not-stored" in waiting:
        for name in arena.redis.client.scan_iter("mpesa-balance:token:*"):
            arena.redis.client.delete(name)
    if "judgement-not" in waiting:
        # What answers nothing that is known here is judged by itself.
        arena.storm.post([uuid4()], rate=1)


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_every_point_in_one_storm(arena: Arena, told: Teller, times: int) -> None:
    with asking_again(arena.callers):
        crash(arena, list(CrashPoint), times, rate=4)
        found, seconds = arena.settle(2 * GRACE + 60)
    what = f"each of the {len(CrashPoint)} crash points, {'once' if times == 1 else 'twice'}, in one run"
    told.tell("F1", what, found, seconds)


@pytest.mark.long
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("point", CrashPoint)
def test_each_point_alone(arena: Arena, told: Teller, point: CrashPoint, times: int) -> None:
    with asking_again(arena.callers):
        crash(arena, [point], times, rate=4)
        found, seconds = arena.settle(times * GRACE + 60)
    told.tell("F1", f"{point}, {'once' if times == 1 else 'twice'}", found, seconds)
