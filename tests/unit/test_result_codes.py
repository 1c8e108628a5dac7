"""The table of codes: the class of each decides what is done."""

import pytest

from mpesa_balance.result_codes import TABLE, Action, action_for, advice_for
from tests import samples

RETRYABLE = {Action.RETRY, Action.RETRY_LATER}


@pytest.mark.parametrize("name", samples.of_kind("result", "failure/"))
def test_a_failed_result_is_retryable_where_the_samples_say_so(name: str) -> None:
    expected = samples.EXPECTED[name]
    assert (action_for(expected["result_code"]) in RETRYABLE) is expected["retryable"]


@pytest.mark.parametrize("code", ["18", "20", "21", "22", "2001", "8006"])
def test_what_could_lock_the_initiator_suspends_the_shortcode(code: str) -> None:
    assert action_for(code) is Action.SUSPEND
    assert advice_for(code)


@pytest.mark.parametrize("code", [None, "", "999999"])
def test_what_is_unknown_is_never_retried(code: str | None) -> None:
    assert action_for(code) is Action.REFUSE
    assert advice_for(code) is None


def test_one_code_is_told_apart_by_its_text() -> None:
    assert action_for("500.002.1001", "System internal error.") is Action.RETRY
    assert action_for("500.002.1001", "Duplicate OriginatorConversationID.") is Action.REFUSE


def test_every_row_that_needs_a_person_says_what_to_do() -> None:
    assert all(row.advice for row in TABLE if row.action in (Action.SUSPEND, Action.RETRY_LATER))
