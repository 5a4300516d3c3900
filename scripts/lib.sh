# shellcheck shell=bash
# What the scripts beside this file share. Sourced, not run: it goes to the root of the project.

set -euo pipefail
script=$(realpath "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Where cargo builds, for those who start the binary. A clone builds into its own ./target unless told otherwise.
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
# What is kept between clones: the Python environment, and under .ci/run the compiled crates.
# shellcheck disable=SC2034
cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/dancu
# shellcheck disable=SC2034
dancu=$target_dir/release/dancu

# rustup puts cargo here, and a fresh login shell is needed before PATH knows it.
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

bold='' dim='' plain=''
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

# A step of a script, on standard error so that standard output stays the tool's.
step() { printf '%s==> %s%s\n' "$bold" "$*" "$plain" >&2; }

note() { printf '%s    %s%s\n' "$dim" "$*" "$plain" >&2; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# The comment at the top of the script is its help text.
help_and_exit() {
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$script"
    exit 0
}

# For scripts that take no argument but --help.
no_arguments() {
    case "${1:-}" in
        '') ;;
        -h | --help) help_and_exit ;;
        *) die "unknown argument '$1'; see $0 --help" ;;
    esac
}
