#!/bin/sh
# Usage: with_venv.sh runtime|dev COMMAND [ARGUMENT]...
# Finds a Python and hands over to setup.py, which prepares the virtual environment and runs COMMAND in it.
set -eu
cd "$(dirname "$0")/.."

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
can_make_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

found=
for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
    [ -n "$candidate" ] && is_new_enough "$candidate" || continue
    # Debian splits venv off: a complete Python further down the list saves an installation.
    if can_make_venv "$candidate"; then found=$candidate; break; fi
    found=${found:-$candidate}
done

if [ -z "$found" ]; then
    echo "oneio needs Python 3.11 or newer and found none. On Debian: apt-get install -y python3 python3-venv" >&2
    echo "On macOS: brew install python. Elsewhere name it: make PYTHON=/path/to/python3 ..." >&2
    exit 1
fi
exec "$found" -B scripts/setup.py "$@"
