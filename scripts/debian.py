"""Installs a Debian package where this user may, and otherwise says the one command that does."""

import os
import shutil
import subprocess
import sys


def install(package: str, purpose: str) -> bool:
    """Install `package` as root with apt-get and return True; else print the command and return False."""
    if not shutil.which("apt-get"):
        print(f"{purpose} needs {package}: install it with this system's package manager.", file=sys.stderr)
        return False
    if os.geteuid() != 0:
        print(
            f"{purpose} needs the package {package}. Run: sudo apt-get install -y {package}", file=sys.stderr
        )
        return False
    print(f"{purpose} needs the package {package}: installing it.", file=sys.stderr)
    if _apt_get("install", package) or (_apt_get("update") and _apt_get("install", package)):
        return True
    print(f"It could not be installed. Try by hand: apt-get install -y {package}", file=sys.stderr)
    return False


def _apt_get(action: str, *packages: str) -> bool:
    command = ["apt-get", action, "-y", "-qq", *(["--no-install-recommends"] if packages else []), *packages]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.returncode == 0
