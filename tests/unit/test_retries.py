"""When something is tried again: by its class alone, with jitter and a cap."""

import pytest

from mpesa_balance.result_codes import Action
from mpesa_balance.retries import NO_RETRIES, RetrySchedule

SCHEDULE = RetrySchedule((5, 15, 60), quota_backoff=300)


def waits(action: Action, tries: int) -> list[float]:
    found = [SCHEDULE.wait(action, tries) for _ in range(200)]
    return [wait for wait in found if wait is not None]


@pytest.mark.parametrize(("tries", "scheduled"), [(0, 5), (1, 15)])
def test_a_wait_is_the_scheduled_one_a_quarter_more_or_less(tries: int, scheduled: int) -> None:
    found = waits(Action.RETRY, tries)
    assert 0.75 * scheduled <= min(found) < max(found) <= 1.25 * scheduled
    assert len(set(found)) > 100


def test_no_wait_is_longer_than_the_longest_of_the_schedule() -> None:
    assert max(waits(Action.RETRY, 2)) == 60


def test_a_quota_is_waited_out_in_full() -> None:
    assert min(waits(Action.RETRY_LATER, 0)) >= 300


def test_after_the_last_of_the_schedule_nothing_is_tried_again() -> None:
    assert SCHEDULE.wait(Action.RETRY, 3) is None
    assert SCHEDULE.wait(Action.RETRY_LATER, 3) is None


@pytest.mark.parametrize("action", [Action.REFUSE, Action.REFUSE_APP, Action.SUSPEND, Action.GO_ON])
def test_what_was_refused_is_never_tried_again(action: Action) -> None:
    assert SCHEDULE.wait(action, 0) is None


def test_without_a_schedule_nothing_is() -> None:
    assert NO_RETRIES.wait(Action.RETRY, 0) is None
