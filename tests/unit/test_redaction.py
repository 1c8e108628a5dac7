"""No shape of an echo brings a security credential in, and nothing else is touched."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpesa_balance import redaction
from mpesa_balance.redaction import REMOVED, without_credentials
from tests import samples

#: As RSA makes them with a 2048-bit key, and the short one of Daraja's own page.
real_ones = st.binary(min_size=256, max_size=256).map(lambda raw: base64.b64encode(raw).decode())
credentials = real_ones | st.just("SAFVNChNHfVtXEZMBuVo+a1Hwr+DtrUVN3zVg==")

ECHO = samples.document("timeout/echo-of-request-account-balance.json")

Shape = Callable[[str], str]


def echo(credential: str, name: str = "SecurityCredential") -> dict[str, Any]:
    return {key: value for key, value in ECHO.items() if key != "SecurityCredential"} | {name: credential}


SHAPES: dict[str, Shape] = {
    "flat": lambda c: json.dumps(echo(c)),
    "indented": lambda c: json.dumps(echo(c), indent=4),
    "other case": lambda c: json.dumps(echo(c, "securitycredential")),
    "slashes escaped": lambda c: json.dumps(echo(c)).replace("/", "\\/"),
    "name escaped": lambda c: json.dumps(echo(c)).replace("Sec", "\\u0053ec"),
    "key and value": lambda c: json.dumps({"P": [{"Key": "SecurityCredential", "Value": c}]}),
    "in a list": lambda c: json.dumps({"SecurityCredential": [c]}),
    "json in json": lambda c: json.dumps({"request": json.dumps(echo(c))}),
    "json in json in json": lambda c: json.dumps({"r": json.dumps({"q": json.dumps(echo(c))})}),
    "a form": lambda c: f"Initiator=x&SecurityCredential={c}&Remarks=ok",
    "cut short": lambda c: json.dumps({"SecurityCredential": c})[:-8],
}

#: What needs the length of a real one to be seen: nothing there says what it is.
LONG_SHAPES: dict[str, Shape] = {
    "value before key": lambda c: json.dumps({"Value": c, "Key": "SecurityCredential"}),
    "alone": lambda c: c,
    "wrapped": lambda c: json.dumps({"c": "\n".join(c[at : at + 76] for at in range(0, len(c), 76))}),
    "as a url": lambda c: "c=" + c.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D"),
}


@pytest.mark.parametrize("shape", SHAPES)
@given(credential=credentials)
def test_a_credential_that_is_named_does_not_come_in(shape: str, credential: str) -> None:
    assert_gone(credential, without_credentials(SHAPES[shape](credential).encode()))


@pytest.mark.parametrize("shape", LONG_SHAPES)
@given(credential=real_ones)
def test_a_credential_that_is_not_named_does_not_come_in(shape: str, credential: str) -> None:
    assert_gone(credential, without_credentials(LONG_SHAPES[shape](credential).encode()))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
@given(credential=real_ones)
def test_a_credential_in_another_encoding_does_not_come_in(encoding: str, credential: str) -> None:
    left = without_credentials(json.dumps(echo(credential)).encode(encoding))
    assert_gone(credential, left.replace(b"\x00", b""))


def assert_gone(credential: str, left: bytes) -> None:
    plain = left.decode("latin-1").replace("\\", "")
    pieces = [credential[at : at + 12] for at in range(0, len(credential) - 12, 12)]
    assert [piece for piece in pieces if piece in plain] == []
    assert REMOVED.decode() in plain


def test_what_is_left_of_an_echo_is_still_json_and_complete() -> None:
    left = json.loads(without_credentials(json.dumps(echo('x"y\\z' * 9)).encode()))
    assert left == ECHO | {"SecurityCredential": "[removed]"}


@pytest.mark.parametrize(
    "name", [name for name in samples.EXPECTED if not name.startswith(("request/", "timeout/echo"))]
)
def test_every_other_sample_comes_in_byte_for_byte(name: str) -> None:
    assert without_credentials(samples.payload(name)) == samples.payload(name)


@given(st.binary(max_size=150))
def test_short_bytes_without_its_name_come_in_as_they_are(body: bytes) -> None:
    assert without_credentials(body) == body


@pytest.mark.parametrize(
    "body",
    [
        b"A" * 65536,
        b"\\" * 65536,
        b"SecurityCredential" * 3640,
        b'"SecurityCredential":"' * 2978,
        b"SecurityCredential" + b"\\" * 60000,
        b"SecurityCredential" + b" " * 60000,
        b"\\u0053" * 10922,
        (b"A" * 159 + b"|") * 409,
        b"A\x00" * 32768,
    ],
    ids=range(9),
)
def test_no_body_takes_long_to_look_through(body: bytes) -> None:
    """A guard against backtracking, which took seconds for these, and no measure of speed."""
    began = time.process_time()
    without_credentials(body)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "body",
    [
        '{"Result":{"ResultDesc":"Bad Request - Invalid SecurityCredential","ResultCode":2001}}',
        '{"ResultDesc":"SecurityCredential:","ResultCode":2001}',
        '{"SecurityCredential":null,"ResultCode":2001}',
        '{"SecurityCredential":17,"ResultCode":2001}',
        '["SecurityCredential","ResultCode"]',
    ],
)
def test_a_text_that_only_names_it_is_left_as_it_is(body: str) -> None:
    assert without_credentials(body.encode()) == body.encode()


def test_what_follows_a_credential_is_left_as_it_is() -> None:
    body = '{"SecurityCredential":"abc","ResultCode":2001,"ResultDesc":"Invalid SecurityCredential"}'
    assert without_credentials(body.encode()) == body.replace("abc", "[removed]").encode()


@given(credential=real_ones)
def test_entities_and_indented_lines_hide_nothing(credential: str) -> None:
    lines = "\r\n\t".join(credential[at : at + 76] for at in range(0, len(credential), 76))
    entities = credential.replace("+", "&#x2b;").replace("/", "&#47;").replace("=", "&#61;")
    for body in (f"<c>{lines}</c>", f"<c>{entities}</c>"):
        assert_gone(credential, without_credentials(body.encode()))


def test_a_credential_of_the_shortest_key_is_seen_though_nothing_names_it() -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        credential = encode(bytes(range(128, 256))).decode()
        assert_gone(credential, without_credentials(json.dumps({"c": credential}).encode()))


def test_a_named_value_is_removed_over_line_ends_and_under_many_escapes() -> None:
    assert b"abc" not in without_credentials(b'{"SecurityCredential":"abc\nabc","a":1}')
    nested = json.dumps(json.dumps(json.dumps({"SecurityCredential": "abc/"}).replace("S", "\\u0053")))
    assert "abc" not in without_credentials(nested.encode()).decode()


pieces = st.one_of(
    st.sampled_from([b"\\u0053", b"\\/", b"%2B", b"&#x2B;", b"\r\n  ", b"\x00", b'"', b":", b"="]),
    st.sampled_from([b"SecurityCredential", b"securitycredential", b"\\U0053ecurityCredential"]),
    st.binary(max_size=3),
    st.integers(150, 170).map(lambda length: b"A" * length),
)


@given(st.lists(pieces, max_size=8).map(b"".join))
def test_nothing_is_passed_by_that_a_longer_look_would_find(body: bytes) -> None:
    named = redaction._NAMED.sub(rb"\1" + REMOVED + rb"\3", body)
    assert without_credentials(body) == redaction._LONG.sub(REMOVED, named)
