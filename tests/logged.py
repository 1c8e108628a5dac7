"""What a test looks at of our own log: events by their names, with their fields."""

from typing import Any

import pytest


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    """The events of this name, in their order, as they were before anything was masked."""
    ours = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [event for event in ours if event["event"] == name]
