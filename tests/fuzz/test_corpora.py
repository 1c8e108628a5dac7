"""Every sample, and everything that a fuzzer ever found, keeps every promise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import samples
from tests.fuzz import CORPUS
from tests.fuzz.targets import TARGETS

FILES = [*samples.FOLDER.rglob("*.*"), *CORPUS.rglob("*")]


@pytest.mark.parametrize("name", TARGETS)
def test_every_sample_and_every_find_keeps_the_promise(name: str) -> None:
    for path in FILES:
        if path.is_file():
            TARGETS[name](path.read_bytes())


names = st.sampled_from(["Working Account", "Utility Account", "A", "", "KES", "  M  PESA ", "7"])
numbers = st.sampled_from(
    ["0.00", "-1540.00", "+1", "1.5", "007", "", " ", "x", "1,000.00", "1e3", "9" * 30]
)
currencies = st.sampled_from(["KES", "USD", "", "kes", " KES "])
plain = st.tuples(names, currencies, numbers, numbers, numbers, numbers).map("|".join)
repeated = st.tuples(names, currencies, numbers, currencies, numbers, currencies, numbers).map("|".join)
short = st.lists(st.one_of(names, currencies, numbers), max_size=9).map("|".join)
segments = st.lists(st.one_of(plain, repeated, short), max_size=6)


@given(segments, st.sampled_from(["&", "|", "&&", " & "]))
def test_no_mixture_of_layouts_invents_drops_or_moves_an_amount(parts: list[str], between: str) -> None:
    TARGETS["balance"](between.join(parts).encode())


@given(st.binary(max_size=300), st.sampled_from(sorted(TARGETS)))
def test_no_bytes_break_a_promise(data: bytes, name: str) -> None:
    TARGETS[name](data)
