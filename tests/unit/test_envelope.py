"""The look at a callback's body: its shortcut says nothing that the schema does not say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks import envelope

#: Codes as they come and as they do not.
CODES = (
    st.integers(-5, 20_000)
    | st.sampled_from(["0", "00", "", "SFC_IC0003", "2001", " ", "\x00", "x" * 11])
    | st.sampled_from([None, True, False, 0.0, 1.5, [], {}])
)

BODIES = (
    st.fixed_dictionaries({"Result": st.fixed_dictionaries({"ResultCode": CODES}) | CODES})
    | st.fixed_dictionaries({"result": CODES})
    | CODES
)


@given(BODIES, st.sampled_from(["result", "timeout"]))
def test_what_is_plain_is_right_by_the_schema(document: Any, kind: str) -> None:
    if envelope.is_plain(document):
        assert envelope._ENVELOPES[kind].validate(document) == {}


@pytest.mark.parametrize("code", [0, 2001, "0"])
def test_what_daraja_sends_takes_the_shortcut(code: int | str) -> None:
    assert envelope.is_plain({"Result": {"ResultCode": code, "ResultDesc": "anything"}})


@pytest.mark.parametrize("code", [True, -1, 10_000, "2001", None, 0.0])
def test_whatever_else_is_left_to_the_schema(code: Any) -> None:
    assert not envelope.is_plain(json.loads(json.dumps({"Result": {"ResultCode": code}})))
