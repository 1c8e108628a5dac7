"""A month of balances behind a stack: asked for by its own processes, then moved back in time."""

import psycopg

from tests.e2e.running import Stack

#: How many days back each balance is moved.
DAYS_BACK = (29, 21, 14, 9, 5, 2)


def store_a_month(stack: Stack) -> None:
    """Ask for balances, and let all but the last have been told on earlier days; the amounts differ."""
    for days in DAYS_BACK:
        stack.query()
        with psycopg.connect(stack.env["DATABASE_URL"]) as connection:
            connection.execute(
                "UPDATE balances SET as_of = as_of - make_interval(days => %s) "
                "WHERE as_of > now() - interval '1 day'",
                (days,),
            )
    stack.query()
