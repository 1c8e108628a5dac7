"""The machine as design has it: which state may follow which."""

import pytest

from mpesa_balance.states import ENDINGS, MOVES, OPEN, QueryState, origins

PENDING, ACKNOWLEDGED, COMPLETED, FAILED, TIMED_OUT = QueryState


@pytest.mark.parametrize(
    ("state", "following"),
    [
        (PENDING, {ACKNOWLEDGED, COMPLETED, FAILED, TIMED_OUT}),
        (ACKNOWLEDGED, {COMPLETED, FAILED, TIMED_OUT}),
        (TIMED_OUT, {COMPLETED, FAILED}),
        (COMPLETED, set()),
        (FAILED, set()),
    ],
)
def test_each_state_leads_where_the_design_says(state: QueryState, following: set[QueryState]) -> None:
    assert set(MOVES[state]) == following


def test_every_move_has_its_reason() -> None:
    assert all(reason for following in MOVES.values() for reason in following.values())


def test_no_move_leads_back_to_pending() -> None:
    assert origins(PENDING) == []


def test_a_timeout_is_neither_open_nor_an_ending() -> None:
    assert {PENDING, ACKNOWLEDGED} == OPEN
    assert {COMPLETED, FAILED} == ENDINGS


def test_the_machine_cannot_be_changed_at_run_time() -> None:
    with pytest.raises(TypeError):
        MOVES[COMPLETED] = {}  # type: ignore[index]
