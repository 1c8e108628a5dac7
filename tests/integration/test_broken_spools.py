"""The tier when somebody meddles with its spool, or with its receipts."""

import shutil
from pathlib import Path

import pytest

from tests.integration.queued import tasks
from tests.integration.webhook_desk import ACCEPTED, answered, running
from tests.waiting import eventually

pytestmark = pytest.mark.slow


def test_a_receipt_of_nothing_is_passed_by(keys: dict[str, str], broker_url: str, tmp_path: Path) -> None:
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        answered(webhooks)
        receipts = webhooks.receipts()

        def is_forgotten() -> bool:
            # What Redis gives to a tier that no longer waits is lost; a worker would tell it again.
            webhooks.queue.rpush(receipts, b"abc", b"", b"\xff", b"-1", 2**70, "9" * 5000, "\u0661", 1)
            return not webhooks.spooled()

        eventually(is_forgotten)
        assert answered(webhooks).json() == ACCEPTED


def test_a_spool_that_was_deleted_takes_no_more_and_another_is_begun(
    keys: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    """What is written to a deleted file ends with the process that writes it."""
    with running(keys, broker_url, tmp_path / "spool") as webhooks:
        answered(webhooks)
        receipts = webhooks.receipts()
        shutil.rmtree(tmp_path / "spool")
        assert answered(webhooks).json() == ACCEPTED
        assert tasks(webhooks.messages()) == ["record_spooled_callbacks", "record_callbacks"]
        webhooks.queue.rpush(receipts, 1)

        def is_spooled() -> bool:
            assert answered(webhooks).json() == ACCEPTED
            return (tmp_path / "spool" / "0.sqlite").exists() and bool(webhooks.spooled())

        eventually(is_spooled)
