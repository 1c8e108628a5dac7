"""Makes the secrets that docker-compose.yml reads, once: python3 ops/new_secrets.py [folder].

Standard library only, because it runs on the host before anything is installed there.
"""

import base64
import os
import secrets
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Write each secret into a file of its own; what is there already stays as it is."""
    postgres = secrets.token_hex(24)
    made = {
        "postgres_password": postgres,
        "database_url": f"postgresql://mpesa_balance:{postgres}@postgres:5432/mpesa_balance",
        **_of_redis("house", "broker_url"),
        **_of_redis("webhooks", "webhooks_broker_url"),
        **_of_redis("caller", "caller_broker_url"),
        "sealing_keys": f"k1:{_key()}",
        "callback_keys": _key(),
        "console_keys": _key(),
        # Of single sign-on, where there is any: put the provider's in its place.
        "oidc_client_secret": "",
        "flower_basic_auth": f"operator:{secrets.token_urlsafe(18)}",
    }
    if folder.exists():
        sys.exit(f"{folder} is there already: its secrets are in use. Remove it to make new ones.")
    # Only its owner enters the folder; inside it, the containers' users may read.
    folder.mkdir(mode=0o700)
    for name, value in made.items():
        (folder / name).write_text(value + "\n")
        (folder / name).chmod(0o644)
    print(f"Wrote {len(made)} secrets to {folder}. Keep sealing_keys safe: without it nothing opens.")


def _of_redis(user: str, url: str) -> dict[str, str]:
    """The password of a user of ops/redis-users.acl, and the address with which he comes in."""
    password = secrets.token_hex(24)
    return {f"redis_{user}_password": password, url: f"redis://{user}:{password}@redis:6379/0"}


def _key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "secrets"))
