"""The table of codes: every code that was published, and the class of each decides what is done."""

import json
from pathlib import Path

import pytest

from mpesa_balance.cli.explaining import page
from mpesa_balance.result_codes import TABLE, Action, Where, action_for, advice_for, matching, row_for
from tests import samples

PAGE = Path(__file__).parents[2] / "ops" / "docs" / "result-codes.md"

RETRYABLE = {Action.RETRY, Action.RETRY_LATER}

#: What Daraja's pages and the guides of other integrators publish, by where it appears.
PUBLISHED = {
    Where.HTTP: "401.002.01 400.002.02 404.002.01 405.001 500.002.1001 500.003.1001 500.003.02 500.003.03 "
    "00.002.1001 500.001.1001 404.001.03 400.003.01 400.002.05 400.008.01 404.001.01 404.003.01",
    Where.ACKNOWLEDGEMENT: "0 1",
    Where.RESULT: "0 1 11 15 17 18 19 20 21 22 24 25 26 29 2001 8006 SFC_IC0003 100000000 100000001 "
    "100000002 100000004 100000005 100000007 100000009 100000010 100000011",
}


@pytest.mark.parametrize(
    ("where", "code"), [(where, code) for where, codes in PUBLISHED.items() for code in codes.split()]
)
def test_every_published_code_has_a_row_with_a_meaning(where: Where, code: str) -> None:
    (row,) = [row for row in TABLE if (row.code, row.where, row.words) == (code, where, "")]
    assert row.meaning


def test_every_code_of_the_samples_has_a_row() -> None:
    errors = [json.loads(samples.document(name)["body"] or "{}") for name in json_errors()]
    results = [samples.EXPECTED[name].get("result_code") for name in samples.of_kind("result")]
    found = {code for code in results if code} | {error["errorCode"] for error in errors}
    assert found - {row.code for row in TABLE} == set()


def json_errors() -> list[str]:
    return [
        name for name in samples.of_kind("http") if samples.document(name)["body"].lstrip().startswith("{")
    ]


@pytest.mark.parametrize("name", samples.of_kind("result", "failure/"))
def test_a_failed_result_is_retryable_where_the_samples_say_so(name: str) -> None:
    expected = samples.EXPECTED[name]
    assert (action_for(expected["result_code"]) in RETRYABLE) is expected["retryable"]


@pytest.mark.parametrize("code", ["18", "20", "21", "22", "2001", "8006"])
def test_what_could_lock_the_initiator_suspends_the_shortcode(code: str) -> None:
    assert action_for(code) is Action.SUSPEND
    assert advice_for(code)


@pytest.mark.parametrize("code", ["17", "26", *(f"10000000{n}" for n in (0, 1, 2, 4, 7, 9)), "100000011"])
def test_what_passes_is_tried_again(code: str) -> None:
    assert action_for(code) is Action.RETRY


@pytest.mark.parametrize("code", [None, "", "999999", "SFC_IC9999"])
def test_what_is_unknown_is_never_retried(code: str | None) -> None:
    assert action_for(code) is Action.REFUSE
    assert advice_for(code) is None


def test_one_code_is_told_apart_by_its_text() -> None:
    assert action_for("500.002.1001", "System internal error.") is Action.RETRY
    assert action_for("500.002.1001", "Duplicate OriginatorConversationID.") is Action.REFUSE


@pytest.mark.parametrize(
    ("code", "text", "action"),
    [
        (None, "Invalid API call as no apiproduct match found", Action.MINT_TOKEN),
        ("400.002.02", "Bad Request - Invalid Initiator", Action.SUSPEND),
        ("400002", "Bad Request - Invalid SecurityCredential", Action.SUSPEND),
        ("400.002.02", "Bad Request - Invalid Remarks", Action.REFUSE),
    ],
)
def test_a_text_says_more_than_a_code_where_the_table_says_so(
    code: str | None, text: str, action: Action
) -> None:
    assert action_for(code, text) is action


def test_a_code_that_means_two_things_is_read_where_it_stands() -> None:
    rows = [row_for("1", where=where) for where in (Where.ACKNOWLEDGEMENT, Where.RESULT)]
    assert [row.where for row in rows if row] == [Where.ACKNOWLEDGEMENT, Where.RESULT]
    assert rows[0] != rows[1]


def test_every_row_that_needs_a_person_says_what_to_do() -> None:
    assert [row.code for row in TABLE if row.action is not Action.GO_ON and not row.advice] == []


def test_no_two_rows_are_for_the_same_thing() -> None:
    keys = [(row.code, row.where, row.words) for row in TABLE]
    assert len(set(keys)) == len(keys)


def test_a_code_or_a_word_of_its_meaning_finds_its_rows() -> None:
    assert [row.code for row in matching(" sfc_ic0003 ")] == ["SFC_IC0003"]
    assert {row.code for row in matching("spike")} == {"500.003.02"}
    assert matching("no such thing") == []


def test_the_page_of_the_docs_is_what_the_command_writes() -> None:
    assert PAGE.read_text() == page(list(TABLE))
