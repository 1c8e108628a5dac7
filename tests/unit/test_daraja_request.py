"""Daraja's rules for a query: all of them checked before anything is sent, all violations named at once."""

import base64
from dataclasses import replace

import pytest

from mpesa_balance.daraja_request import DarajaRequest
from tests import samples

GOOD = DarajaRequest(
    initiator="testapi",
    security_credential=base64.b64encode(b"x" * 256).decode(),
    party_a="600000",
    identifier_type=4,
    remarks="End of day",
    result_url="https://pay.example.co.ke/callbacks/balance/0a/result",
    queue_timeout_url="https://pay.example.co.ke/callbacks/balance/0a/timeout",
)


def test_a_good_request_breaks_no_rule_and_has_exactly_the_documented_fields() -> None:
    assert GOOD.violations(production=True) == []
    assert GOOD.body().keys() == samples.document("request/docs-account-balance.json").keys()
    assert set(map(type, GOOD.body().values())) == {str}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"initiator": ""}, "initiator"),
        ({"initiator": "a\nb"}, "initiator"),
        ({"initiator": "   "}, "initiator"),
        ({"security_credential": base64.b64encode(b"x" * 127).decode()}, "security credential"),
        ({"initiator": "a" * 101}, "initiator"),
        ({"security_credential": ""}, "security credential"),
        ({"security_credential": "Pa55word"}, "security credential"),
        ({"party_a": "60-000"}, "5 to 12 digits"),
        ({"party_a": "123"}, "5 to 12 digits"),
        ({"identifier_type": 3}, "identifier type 3"),
        ({"identifier_type": 1}, "254712345678"),
        ({"remarks": ""}, "2 to 100"),
        ({"remarks": "x"}, "2 to 100"),
        ({"remarks": "x" * 101}, "2 to 100"),
        ({"remarks": "50% & more"}, "2 to 100"),
        ({"result_url": "ftp://pay.example.co.ke/x"}, "https://"),
        ({"result_url": "https://pay.example.co.ke/x?y=1"}, "scheme, host and path only"),
        *(
            ({"queue_timeout_url": f"https://pay.example.co.ke/{word}"}, repr(word))
            for word in ("mpesa", "safaricom", "exe", "exec", "cmd", "sql", "query")
        ),
    ],
)
def test_each_rule_is_named_where_it_is_broken(change: dict[str, object], said: str) -> None:
    (first, *_) = replace(GOOD, **change).violations(production=False)  # type: ignore[arg-type]
    assert said in first


@pytest.mark.parametrize("url", ["http://pay.example.co.ke/r", "https://x.ngrok-free.dev/r"])
def test_production_demands_https_and_no_tunnel(url: str) -> None:
    request = replace(GOOD, result_url=url)
    assert request.violations(production=False) == []
    assert len(request.violations(production=True)) == 1


def test_everything_that_is_wrong_is_named_at_once() -> None:
    bad = DarajaRequest(
        initiator="",
        security_credential="?",
        party_a="x",
        identifier_type=4,
        remarks="",
        result_url="http://mpesa.example.co.ke/exec",
        queue_timeout_url="http://mpesa.example.co.ke/exec",
    )
    assert len(bad.violations(production=True)) == 4 + len(("mpesa", "exec", "exe", "https"))


def test_an_msisdn_and_a_till_may_be_asked_for() -> None:
    for party_a, identifier_type in (("254712345678", 1), ("174379", 2)):
        request = replace(GOOD, party_a=party_a, identifier_type=identifier_type)
        assert request.violations(production=True) == []


def test_the_credential_is_in_no_repr() -> None:
    assert GOOD.security_credential not in repr(GOOD)
