"""The environment: everything that is wrong with it is said at once, and never a secret."""

import re
from pathlib import Path

import pytest

from mpesa_balance import BalanceClient
from mpesa_balance.environment import EXIT_CONFIG, Reader, load, load_or_exit
from mpesa_balance.errors import SettingsInvalid
from mpesa_balance.sealing import new_key

ENV_EXAMPLE = Path(__file__).parents[2] / ".env.example"


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {
        "DATABASE_URL": "postgresql://house:hunter2@localhost/house",
        "BROKER_URL": "redis://localhost:6379/0",
        "CALLBACK_BASE_URL": "https://pay.example.co.ke",
        "SEALING_KEYS": f"k1:{new_key()}",
        "CALLBACK_KEYS": f"{new_key()},{new_key()}",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("good")
def test_five_settings_are_enough() -> None:
    settings = load(Reader.worker)
    assert settings.query_deadline == 600
    assert len(settings.callbacks.signer.keys) == 2


def test_what_is_not_kept_for_ever_needs_a_directory_for_its_archives(good: pytest.MonkeyPatch) -> None:
    good.setenv("RETENTION_DAYS", "30")
    for directory in ("", "archives"):
        good.setenv("ARCHIVE_DIR", directory)
        with pytest.raises(SettingsInvalid, match="ARCHIVE_DIR must be the absolute path of a directory"):
            load(Reader.worker)
    good.setenv("ARCHIVE_DIR", "/var/archives")
    kept = load(Reader.worker).retention
    assert (kept.days, str(kept.directory)) == (30, "/var/archives")
    for days in ("-1", "soon"):
        good.setenv("RETENTION_DAYS", days)
        with pytest.raises(SettingsInvalid, match="RETENTION_DAYS must be a whole number from 0"):
            load(Reader.worker)


def test_all_missing_settings_are_named_at_once() -> None:
    with pytest.raises(SettingsInvalid) as invalid:
        load(Reader.worker)
    for name in ("DATABASE_URL", "BROKER_URL", "CALLBACK_BASE_URL", "SEALING_KEYS", "CALLBACK_KEYS"):
        assert f"{name} is not set (neither {name} nor {name}_FILE)" in str(invalid.value)


def test_all_malformed_settings_are_named_and_no_value_is_repeated(good: pytest.MonkeyPatch) -> None:
    wrong = {
        "DATABASE_URL": "mysql://house:hunter2@localhost",
        "BROKER_URL": "amqp://x:hunter2@localhost",
        "SEALING_KEYS": "hunter2",
        "CALLBACK_KEYS": "hunter2",
        "CALLBACK_BASE_URL": "https://mpesa.example.org",
        "QUERY_DEADLINE_SECONDS": "soon",
        "DATABASE_POOL_SIZE": "0",
        "RETRY_BACKOFF_SECONDS": "5;10",
        "LOG_LEVEL": "verbose",
        "DARAJA_TIMEOUT_SECONDS": "11",
        "SUBMISSION_GRACE_SECONDS": "59",
    }
    for name, value in wrong.items():
        good.setenv(name, value)
    with pytest.raises(SettingsInvalid) as invalid:
        load(Reader.worker)
    assert all(f"{name} " in str(invalid.value) for name in wrong)
    assert "hunter2" not in str(invalid.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter/2@host/0",
        "redis://host/abc",
        "redis://host/12345",
        "redis://",
        "redis://host:99999",
        "host:6379",
    ],
)
def test_a_broker_address_that_cannot_be_used_is_refused_without_repeating_it(
    good: pytest.MonkeyPatch, url: str
) -> None:
    good.setenv("BROKER_URL", url)
    with pytest.raises(SettingsInvalid, match="BROKER_URL must be redis://") as invalid:
        load(Reader.worker)
    assert "hunter" not in str(invalid.value)
    with pytest.raises(ValueError, match="must be redis://") as refused:
        BalanceClient(url)
    assert "hunter" not in str(refused.value)


def test_a_secret_can_be_read_from_a_file(good: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://house:other@localhost/house\n")
    good.delenv("DATABASE_URL")
    good.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert load(Reader.database).database_url == "postgresql://house:other@localhost/house"


def test_a_secret_file_that_is_not_there_is_named(good: pytest.MonkeyPatch) -> None:
    good.setenv("SEALING_KEYS_FILE", "/nowhere")
    with pytest.raises(SettingsInvalid, match="SEALING_KEYS_FILE"):
        load(Reader.database)


@pytest.mark.usefixtures("good")
def test_secrets_are_in_no_repr() -> None:
    assert "hunter2" not in repr(load(Reader.worker))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPOOL_DIR", "spool"),
        ("TRUSTED_PROXY_HOPS", "-1"),
        ("UNKNOWN_TOKENS_PER_MINUTE", "0"),
        ("CALLBACK_ADDRESS_POLICY", "perhaps"),
    ],
)
def test_what_the_webhook_tier_cannot_work_with_is_named(
    good: pytest.MonkeyPatch, name: str, value: str
) -> None:
    good.setenv(name, value)
    with pytest.raises(SettingsInvalid, match=f"{name} must be"):
        load(Reader.webhooks)


def test_a_program_ends_with_one_line_and_the_exit_code_for_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        load_or_exit(Reader.webhooks)
    assert ended.value.code == EXIT_CONFIG
    assert capsys.readouterr().err.count("\n") == 1


def test_the_example_file_names_every_setting_with_its_default() -> None:
    reader = Reader()
    reader.worker()
    reader.webhooks()
    listed = dict(re.findall(r"^#? ?([A-Z_]+)=(.*)$", ENV_EXAMPLE.read_text(), re.MULTILINE))
    assert reader.read.keys() <= listed.keys()
    for name, default in reader.read.items():
        if default is not None:
            assert listed[name] == default, name
