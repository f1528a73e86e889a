"""Rebuilds both lock files from pyproject.toml, for every platform and Python from 3.11 on.

Usage: python -m scripts.lock [UV ARGUMENT]...   (for example --upgrade-package django)
"""

import subprocess
import sys
from pathlib import Path

from oneio.state import state_directory

OPTIONS = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]
TARGETS = {
    "requirements.lock": ["pyproject.toml"],
    # Constrained by the other, so that tests run with what is delivered.
    "requirements-dev.lock": ["--extra", "dev", "pyproject.toml", "-c", "requirements.lock"],
}


def main(arguments: list[str]) -> int:
    """Compile both files and return the exit code of the first that fails."""
    uv = ensure_uv(state_directory() / "uv")
    for target, sources in TARGETS.items():
        command = [str(uv), "pip", "compile", "--quiet", *OPTIONS, *sources, "-o", target]
        code = subprocess.run([*command, *arguments], check=False).returncode
        if code:
            return code
    return 0


def ensure_uv(venv: Path) -> Path:
    """Return the path of uv, installed on first use in an environment of its own."""
    uv = venv / "bin" / "uv"
    if not uv.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "uv"], check=True)
    return uv


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
