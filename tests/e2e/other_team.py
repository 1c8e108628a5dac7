"""Another team's virtual environment, with our wheel in it."""

import subprocess
import sys
import venv
from pathlib import Path

from ops.stack.programs import CHECKOUT

BUILD = "from hatchling.build import build_wheel; build_wheel(__import__('sys').argv[1])"


def environment_of_another_team(folder: Path) -> Path:
    """Its Python: beside Celery and our wheel there are packages with bad names."""
    wheels = folder / "wheels"
    wheels.mkdir()
    subprocess.run(
        (sys.executable, "-c", BUILD, str(wheels)), cwd=CHECKOUT, check=True, capture_output=True
    )
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = wheels.glob("*.whl")
    constraints = CHECKOUT / "constraints.txt"
    install = (python, "-m", "pip", "install", "--quiet", "-c", constraints, wheel)
    subprocess.run(install, check=True, capture_output=True)
    packages = next((folder / "venv" / "lib").glob("python3*")) / "site-packages"
    for name in ("shared", "worker", "webhooks"):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text("DECOY = True\n")
    return python
