"""The examples of ops/docs/alerts.md are addresses that work, and its kinds are those that there are."""

import re

import pytest

from mpesa_balance import sending
from mpesa_balance.alert_rules import Kind
from ops.stack.programs import CHECKOUT

PAGE = (CHECKOUT / "ops" / "docs" / "alerts.md").read_text()
EXAMPLES = re.findall(r"^\| [^|]+ \| `([a-z]+://[^`]+)` \|$", PAGE, re.MULTILINE)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 8


@pytest.mark.parametrize("url", EXAMPLES, ids=lambda url: url.partition(":")[0])
def test_an_example_is_an_address_that_apprise_reads(url: str) -> None:
    sending.check_url(url)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_explained(kind: Kind) -> None:
    assert f"`{kind}`" in PAGE
