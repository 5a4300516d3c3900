# shellcheck shell=bash
# Makes the virtual environment with the packages of requirements.txt, once, in the cache folder: $venv. Sourced after
# scripts/lib.sh.
# shellcheck disable=SC2154
venv=$cache_dir/python-$(sha256sum tests/python/requirements.txt | cut -c 1-16)
if [ ! -e "$venv/complete" ]; then
    step "installing the Python packages"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/python/requirements.txt
    touch "$venv/complete"
fi
