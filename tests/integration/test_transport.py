"""The worker's transport when its broker goes: what is given up twice ends nobody."""

from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Queue

from worker.transport import GuardedTransport


@pytest.fixture
def connection(broker_url: str) -> Iterator[Connection]:
    """A connection over the worker's own transport."""
    # Named by its class: kombu keeps what it once found for an address, and an earlier test may have asked.
    with Connection(broker_url, transport=GuardedTransport) as made:
        yield made


def in_hand(connection: Connection) -> list[Any]:
    """A message that was taken and not yet acknowledged."""
    taken: list[Any] = []
    queue = Queue("taken", routing_key="taken")
    connection.Producer().publish({}, routing_key="taken", declare=[queue])
    consumer = connection.Consumer([queue], channel=connection.default_channel)
    consumer.register_callback(lambda _, message: taken.append(message))
    consumer.consume()
    connection.drain_events(timeout=10)
    return taken


def test_a_worker_with_a_message_in_hand_outlives_a_connection_that_is_given_up_twice(
    connection: Connection,
) -> None:
    channel = connection.default_channel
    assert len(in_hand(connection)) == 1
    # What kombu does first where a channel cannot be closed in order, as Celery then closes it again.
    connection.transport.client = None
    connection.maybe_close_channel(channel)


def test_a_message_that_was_in_hand_can_be_acknowledged_after_its_channel_was_closed(
    connection: Connection,
) -> None:
    """As Celery does when it has come back to its broker before the task has ended."""
    (message,) = in_hand(connection)
    connection.default_channel.close()
    message.ack()
    assert message.acknowledged
