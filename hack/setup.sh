#!/bin/sh
# Make a virtual environment with the locked dependencies: setup.sh FOLDER; setup.sh --python names the Python for it
set -eu
venv=$1

fail() {
    echo "error: $*" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python ≥ 3.11 found (tried ${PYTHON:-python3 and python3.11 to python3.14}): install one, or name it: make setup PYTHON=/path/to/python3"
}

if [ "$venv" = --python ]; then
    find_python
    exit
fi

if ! new_enough "$venv/bin/python"; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module: install it (Debian, Ubuntu: apt-get install python3-venv)"
    echo "Making $venv with $("$python" --version)" >&2
    "$python" -m venv --clear "$venv"
fi

echo "Installing the locked dependencies into $venv (about a minute)" >&2
pip="$venv/bin/python -m pip --disable-pip-version-check install --quiet"
$pip --require-hashes -r requirements/dev.txt
# The lock holds the build backend too: nothing unpinned is fetched to build this package.
$pip --no-deps --no-build-isolation --editable .
