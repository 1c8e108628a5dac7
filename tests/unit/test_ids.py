"""Ids that follow the clock: of version 7, in the order in which they were made, and never the same."""

import time
from uuid import RFC_4122

from mpesa_balance.ids import time_ordered_id


def test_an_id_is_one_of_version_7_and_says_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = time_ordered_id()
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_of_many_ids_those_that_were_made_later_come_later_and_none_comes_twice() -> None:
    made = [time_ordered_id() for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert [one.int >> 80 for one in made] == sorted(one.int >> 80 for one in made)
