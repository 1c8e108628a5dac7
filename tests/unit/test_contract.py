"""The wire: what callers may ask, and the ids that they know at once."""

from uuid import UUID, uuid4

import pytest

from mpesa_balance import contract
from mpesa_balance.contract import BalanceAsk, request_id, request_id_for
from mpesa_balance.errors import RequestRefused


def violations(**message: object) -> tuple[str, ...]:
    with pytest.raises(RequestRefused) as refused:
        BalanceAsk.read(message)
    return refused.value.violations


def test_names_on_the_wire_never_change() -> None:
    """Other services send these strings; a change here breaks them without any error of ours."""
    assert contract.QUEUES == {
        "mpesa_balance.request_balance": "mpesa-requests",
        "mpesa_balance.get_balance": "mpesa-requests",
        "mpesa_balance.submit_query": "mpesa-submissions",
        "mpesa_balance.record_callbacks": "mpesa-callbacks",
        "mpesa_balance.record_spooled_callbacks": "mpesa-callbacks",
        "mpesa_balance.judge_callback": "mpesa-maintenance",
        "mpesa_balance.quarantine": "mpesa-maintenance",
        "mpesa_balance.prune": "mpesa-maintenance",
        "mpesa_balance.refresh_tokens": "mpesa-submissions",
        "mpesa_balance.run_schedules": "mpesa-maintenance",
        "mpesa_balance.sweep": "mpesa-maintenance",
        "mpesa_balance.deliver_alerts": "mpesa-submissions",
    }
    assert request_id_for("600000", "payroll") == UUID("f6859bd0-b915-5c71-8f45-8f3e70a6b156")


def test_only_the_shortcode_must_be_given() -> None:
    assert BalanceAsk.read({"shortcode": "600000"}).message() == {
        "shortcode": "600000",
        "remarks": "Account balance query",
    }


def test_what_was_not_asked_for_is_not_sent() -> None:
    """A worker of an earlier version refuses arguments that it does not know."""
    assert BalanceAsk(shortcode="600000").message().keys() == {"shortcode", "remarks"}
    assert BalanceAsk(shortcode="600000", max_age=0, force=True).message().keys() > {"max_age", "force"}


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = violations(shortcode=600000, remarks="x", idempotency_key="", requested_by="a\x00b", amount=1)
    assert [sentence.split()[0] for sentence in said] == [
        "'amount'",
        "shortcode",
        "remarks",
        "idempotency_key",
        "requested_by",
    ]


@pytest.mark.parametrize("remarks", ["", "x", "x" * 101, "naïve", "a\nb", "<script>", 12])
def test_remarks_that_daraja_would_refuse_are_refused(remarks: object) -> None:
    assert violations(shortcode="600000", remarks=remarks)[0].startswith("remarks must be 2 to 100")


@pytest.mark.parametrize("shortcode", [None, "", "6000", "60000a", "٦٠٠٠٠٠", "6" * 13, ["600000"]])
def test_what_is_no_shortcode_is_refused(shortcode: object) -> None:
    assert violations(shortcode=shortcode)[0].startswith("shortcode must be")


def test_one_key_for_one_shortcode_is_one_request() -> None:
    ask = BalanceAsk(shortcode="600000", idempotency_key="a")
    other = BalanceAsk(shortcode="600001", idempotency_key="a")
    assert request_id(ask, str(uuid4())) == request_id(ask, str(uuid4())) == request_id_for("600000", "a")
    assert request_id(ask, str(uuid4())) != request_id(other, str(uuid4()))


def test_without_a_key_the_request_is_its_task() -> None:
    task = uuid4()
    assert request_id(BalanceAsk(shortcode="600000"), str(task)) == task


def test_a_task_id_that_is_no_uuid_makes_a_stable_request_id() -> None:
    ask = BalanceAsk(shortcode="600000")
    for task in ("nightly", "\ud800"):
        assert request_id(ask, task) == request_id(ask, task)
