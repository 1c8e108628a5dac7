"""The state directory's secrets: made once, completed where a newer stack needs more, never guessed."""

import json
import stat
from pathlib import Path

import pytest

from mpesa_balance.errors import MpesaBalanceError
from ops.stack.state import StateDirectory


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    made = StateDirectory(tmp_path).secrets()
    assert StateDirectory(tmp_path).secrets() == made
    assert len(set(made.values())) == len(made)
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_a_directory_of_an_earlier_stack_gets_the_passwords_that_it_lacks(tmp_path: Path) -> None:
    made = StateDirectory(tmp_path).secrets()
    earlier = {name: value for name, value in made.items() if name != "REDIS_CALLER_PASSWORD"}
    (tmp_path / "secrets.json").write_text(json.dumps(earlier))
    completed = StateDirectory(tmp_path).secrets()
    assert completed.keys() == made.keys()
    assert completed.items() >= earlier.items()
    assert StateDirectory(tmp_path).secrets() == completed


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"SEALING_KEYS": "stack:x"}'])
def test_without_its_keys_nothing_opens_and_none_are_made(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.json").write_text(text)
    with pytest.raises(MpesaBalanceError, match="restore it"):
        StateDirectory(tmp_path).secrets()
    assert (tmp_path / "secrets.json").read_text() == text
