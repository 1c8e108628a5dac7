"""The users of the embedded Valkey: the rules of ops/redis-users.acl, with passwords."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

#: The rules that every installation has.
RULES: Final = Path(__file__).resolve().parent.parent / "redis-users.acl"


def users(passwords: Mapping[str, str]) -> dict[str, list[str]]:
    """The rules of each user, in the order of the file, with the SHA-256 of his password among them."""
    found: dict[str, list[str]] = {}
    for line in RULES.read_text().splitlines():
        words = [] if line.startswith("#") else line.split()
        if words[:1] == ["user"]:
            found[words[1]] = words[2:]
        elif words:
            found[next(reversed(found))] += words
    sums = {name: hashlib.sha256(password.encode()).hexdigest() for name, password in passwords.items()}
    return {user: [rule.format_map(sums) for rule in rules] for user, rules in found.items()}


def restrict(client: Any, passwords: Mapping[str, str]) -> None:
    """Let these users in and nobody else, from now on, all at once.

    `client` is one of redis-py or valkey-py whose user may do everything; it loses that.
    """
    with client.pipeline(transaction=True) as pipeline:
        for user, rules in users(passwords).items():
            pipeline.execute_command("ACL SETUSER", user, *rules)
        pipeline.execute()
