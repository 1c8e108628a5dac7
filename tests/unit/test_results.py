"""Result callbacks: every sample as expected.json has it, and nothing but our own errors."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance.errors import CallbackUnreadable
from mpesa_balance.results import Result, read_json, read_result
from tests import samples


def result(**changes: Any) -> Result:
    body = {"ResultCode": 0, "ResultDesc": "ok"} | changes
    return read_result(json.dumps({"Result": body}).encode())


def completed_time(value: Any) -> datetime | None:
    parameter = {"Key": "BOCompletedTime", "Value": value}
    return result(ResultParameters={"ResultParameter": parameter}).completed_at


@pytest.mark.parametrize("name", samples.of_kind("result"))
def test_a_sample_reads_as_expected(name: str) -> None:
    expected = samples.EXPECTED[name]
    read = read_result(samples.payload(name))
    assert read.code == expected.get("result_code", read.code)
    for key in ("originator_conversation_id", "conversation_id"):
        assert getattr(read, key) == expected.get(key, getattr(read, key))
    if "completed_at_utc" in expected:
        assert read.completed_at == datetime.fromisoformat(expected["completed_at_utc"])
    if "accounts" in expected:
        balance = read.balance()
        accounts = [{"account": one.pop("name")} | one for one in (a.document() for a in balance.accounts)]
        assert accounts == expected["accounts"]
        assert list(balance.warnings) == expected.get("warnings", [])


@pytest.mark.parametrize("name", samples.of_kind("garbage"))
def test_garbage_is_unreadable_and_its_text_is_not_repeated(name: str) -> None:
    with pytest.raises(CallbackUnreadable) as raised:
        read_result(samples.payload(name))
    text = samples.payload(name).decode()
    assert len(text) < 3 or text not in str(raised.value)


@pytest.mark.parametrize("code", [0, "0", "00000000", 0.0, "0.0", " 0 "])
def test_success_is_any_run_of_zeros(code: object) -> None:
    assert result(ResultCode=code).is_success


@pytest.mark.parametrize("code", [1, "2001", "SFC_IC0003", "R000002"])
def test_any_other_code_is_no_success_and_is_kept_as_text(code: object) -> None:
    read = result(ResultCode=code)
    assert not read.is_success
    assert read.code == str(code)


@pytest.mark.parametrize("code", [None, "", True, [], {}, 0.5, "x" * 33])
def test_a_result_without_a_code_is_unreadable(code: object) -> None:
    with pytest.raises(CallbackUnreadable):
        result(ResultCode=code)


@pytest.mark.parametrize("value", [20200109125710, "20200109125710", 20200109125710.0])
def test_the_completion_time_is_east_african_and_becomes_utc(value: object) -> None:
    assert completed_time(value) == datetime(2020, 1, 9, 9, 57, 10, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "", "2020", 20201309125710, "00000000000000", True])
def test_a_completion_time_that_cannot_be_read_is_none(value: object) -> None:
    assert completed_time(value) is None


def test_ids_differ_only_where_both_sides_have_some() -> None:
    read = result(OriginatorConversationID="a", ConversationID="b")
    assert read.has_ids_other_than("x", None)
    assert not read.has_ids_other_than("x", "b")
    assert not read.has_ids_other_than(None, None)
    assert not result().has_ids_other_than("x", "y")


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1e999}',
        b'{"a": 1e99999999999999999999}',
        b'{"a": 1e-99999999999999999999}',
        b"[" * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        '{"a": 1}'.encode("utf-16"),
        b"\xff\xfe",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_json_that_could_be_read_in_two_ways_or_not_at_all_is_unreadable(payload: bytes) -> None:
    with pytest.raises(CallbackUnreadable):
        read_json(payload)


def test_a_nul_in_a_text_is_made_storable() -> None:
    assert "\x00" not in result(ResultDesc="a\x00b").description


def test_parameters_stay_out_of_the_repr() -> None:
    read = read_result(samples.payload("success/docs-2017-07-28-daraja1.json"))
    assert "46713" not in repr(read)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
envelopes = st.fixed_dictionaries(
    {"ResultCode": json_values},
    optional=dict.fromkeys(
        ("ResultType", "ResultDesc", "ConversationID", "ResultParameters", "ResultParameter"), json_values
    ),
)


@given(envelopes)
def test_no_envelope_raises_anything_but_unreadable(body: dict[str, Any]) -> None:
    try:
        read = read_result(json.dumps({"Result": body}).encode())
        read.balance()
    except CallbackUnreadable:
        pass


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_unreadable(payload: bytes) -> None:
    with pytest.raises(CallbackUnreadable):
        read_result(payload)


def parameters(*items: dict[str, Any]) -> Result:
    return result(ResultParameters={"ResultParameter": list(items)})


def test_every_part_of_a_result_can_be_asked_for() -> None:
    read = read_result(samples.payload("success/docs-2017-07-28-daraja1.json"))
    assert read.is_success
    assert read.raw_balance is not None
    assert read.raw_balance.startswith("Working Account|KES|46713.00")
    assert read.parameter("BOCompletedTime") == 20170728095642
    assert read.parameter("NoSuchKey") is None
    assert read.transaction_id == "LGS0000000"
    assert (read.originator_conversation_id, read.conversation_id) == (
        "19464-802673-1",
        "AG_20170728_0000589b6252f7f25488",
    )
    assert read.completed_at == datetime(2017, 7, 28, 6, 56, 42, tzinfo=UTC)
    assert read.reference_item == (
        "QueueTimeoutURL",
        "https://internalsandbox.safaricom.co.ke/mpesa/abresults/v1/submit",
    )


@pytest.mark.parametrize("reference", [None, [], {}, "x", {"ReferenceItem": None}, {"ReferenceItem": []}])
def test_a_result_without_a_reference_item_has_none(reference: object) -> None:
    assert result(ReferenceData=reference).reference_item is None


def test_the_first_of_several_reference_items_is_the_reference_item() -> None:
    items = [{"Key": "A", "Value": "1"}, {"Key": "B", "Value": "2"}]
    assert result(ReferenceData={"ReferenceItem": items}).reference_item == ("A", "1")


@pytest.mark.parametrize("kind", [1, "1", 1.0, " 1 ", "1.0", "01"])
def test_more_will_follow_however_it_is_written(kind: object) -> None:
    assert not result(ResultType=kind).is_final


@pytest.mark.parametrize("kind", [0, "0", 0.0, None, "", "x", [], {}])
def test_anything_else_is_final(kind: object) -> None:
    assert result(ResultType=kind).is_final


def test_two_balances_that_contradict_each_other_are_unreadable_and_none_is_chosen() -> None:
    read = parameters(
        {"Key": "AccountBalance", "Value": "A|KES|1.00|1.00|0.00|0.00"},
        {"Key": "AccountBalance", "Value": "A|KES|2.00|2.00|0.00|0.00"},
    )
    with pytest.raises(CallbackUnreadable, match="contradict"):
        read.balance()


def test_the_same_balance_twice_is_one() -> None:
    twice = {"Key": "AccountBalance", "Value": "A|KES|1.00|1.00|0.00|0.00"}
    assert len(parameters(twice, twice).balance().accounts) == 1


@pytest.mark.parametrize("items", [None, "x", 1, [], [None], ["x"], [{}], [{"Key": None}], {"Value": 1}])
def test_parameters_that_are_none_are_no_parameters(items: object) -> None:
    assert result(ResultParameters={"ResultParameter": items}).parameters == {}


def test_a_code_is_the_same_as_a_number_and_as_a_text() -> None:
    assert {result(ResultCode=code).code for code in (2001, "2001", 2001.0, "2001.0", " 2001")} == {"2001"}


def test_the_balance_is_kept_as_it_came() -> None:
    value = "Working Account|KES|1.00|1.00|0.00|0.00\n"
    assert parameters({"Key": "AccountBalance", "Value": value}).raw_balance == value


def test_a_body_with_a_byte_order_mark_is_read() -> None:
    assert read_result(b"\xef\xbb\xbf" + b'{"Result": {"ResultCode": 0}}').is_success


def test_a_number_near_zero_that_no_money_has_is_unreadable() -> None:
    with pytest.raises(CallbackUnreadable):
        read_json(b'{"a": 1e-100}')


def test_a_description_is_cut_at_what_mpesa_allows() -> None:
    assert len(result(ResultDesc="x" * 5000).description) == 1024
