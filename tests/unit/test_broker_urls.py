"""The broker's address: what it may say, and the form in which certificates are always verified."""

import ssl
from pathlib import Path

import pytest
import redis
from kombu import Connection

from mpesa_balance.broker_urls import check_broker_url, has_tls, is_loopback, tls_options

VERIFIED = "ssl_cert_reqs=required&ssl_check_hostname=true"
TLS = "rediss://house:hunter2@redis.example.org:6380/0"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    path = tmp_path / "an authority+more.pem"
    path.write_text("PEM")
    return path


@pytest.mark.parametrize(
    "url", ["redis://localhost", "redis://:p%2F@[::1]:6379/15", "redis://house:p@redis/0"]
)
def test_an_address_without_tls_stays_as_it_is(url: str) -> None:
    assert check_broker_url(url) == url
    assert tls_options(url) is None


def test_with_tls_certificates_are_verified_whether_it_says_so_or_not() -> None:
    for said in (
        "",
        "?",
        "?ssl_cert_reqs=required",
        "?ssl_cert_reqs=CERT_REQUIRED&ssl_check_hostname=True",
    ):
        assert check_broker_url(TLS + said) == f"{TLS}?{VERIFIED}"
    assert check_broker_url(check_broker_url(TLS)) == check_broker_url(TLS)


def test_redis_py_and_kombu_read_the_same(ca: Path) -> None:
    url = check_broker_url(f"{TLS}?ssl_ca_certs={ca}".replace("+", "%2B").replace(" ", "%20"))
    client = redis.Redis.from_url(url).connection_pool.make_connection()
    assert (client.cert_reqs, client.check_hostname) == (ssl.CERT_REQUIRED, True)
    with Connection(url) as connection:
        assert connection.ssl == {
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
            "ssl_check_hostname": True,
            "ssl_ca_certs": str(ca),
        }
    assert client.ca_certs == str(ca)
    assert tls_options(url) == {"ssl_cert_reqs": "required", "ssl_ca_certs": str(ca)}


def test_a_certificate_of_ours_travels_too(ca: Path) -> None:
    given = f"ssl_certfile={ca}&ssl_keyfile={ca}".replace("+", "%2B")
    assert (tls_options(check_broker_url(f"{TLS}?{given}")) or {}).keys() == {
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_keyfile",
    }


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("ssl_cert_reqs=none", "must not turn ssl_cert_reqs off"),
        ("ssl_cert_reqs=CERT_NONE", "must not turn ssl_cert_reqs off"),
        ("ssl_cert_reqs=optional", "must not turn ssl_cert_reqs off"),
        ("ssl_cert_reqs=", "must not turn ssl_cert_reqs off"),
        ("ssl_check_hostname=false", "must not turn ssl_check_hostname off"),
        ("ssl_ca_certs=/nowhere/ca.pem", "a file in ssl_ca_certs that cannot be read .No such file"),
        ("ssl_ca_certs=ca.pem", "ssl_ca_certs as an absolute path"),
        ("ssl_ca_certs=", "ssl_ca_certs as an absolute path"),
        ("ssl_ca_certs=/etc/100%25.pem", "without a percent sign"),
        ("ssl_ca_certs=/", "cannot be read"),
        ("ssl_keyfile=/dev/null", "no ssl_certfile"),
        ("socket_timeout=99", "takes only ssl_ca_certs"),
        ("hunter2", "takes only ssl_ca_certs"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_not_repeated(query: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        check_broker_url(f"{TLS}?{query}")
    assert "hunter2" not in str(refused.value)
    assert "example" not in str(refused.value)


@pytest.mark.parametrize("query", ["ssl_ca_certs=/etc/ca.pem", "db=1", "hunter2"])
def test_an_address_without_tls_takes_no_options(query: str) -> None:
    with pytest.raises(ValueError, match="unless it begins with rediss://") as refused:
        check_broker_url(f"redis://house:hunter2@localhost/0?{query}")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://a/0;redis://b/0", "redis://:hunter;2@a/0", "redis://a/0#hunter2"])
def test_what_one_client_would_read_as_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be redis://") as refused:
        check_broker_url(url)
    assert "hunter" not in str(refused.value)


def test_what_leaves_the_machine_and_what_is_encrypted_is_known() -> None:
    assert [is_loopback(f"redis://{host}/0") for host in ("localhost", "127.0.0.1", "[::1]")] == [True] * 3
    for host in ("127.example.org", "127.0.0.1.example.org", "localhost.example.org"):
        assert not is_loopback(f"redis://{host}/0")
    assert (has_tls(TLS), has_tls("redis://localhost")) == (True, False)
