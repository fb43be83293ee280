#!/usr/bin/env bash
# Gate: runs a federation and audits exactly what it wrote. Exits with the first status that is not 0.
#
#   scripts/run_federation_gate.sh                          the reference run, into artifacts/
#   scripts/run_federation_gate.sh --seed 7 --epochs 2      arguments of `cargo xtask simulate`
#
# Paths are relative to the repository's root. Status: 0 passed, 1 failed, 2 bad usage, 3 cannot decide.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
audit=$(cargo xtask simulate --quiet "$@")
case "$audit" in
'cargo xtask compliance '*) ;;
*)
    echo "run_federation_gate: arguments that change the output of simulate are not for this script" >&2
    exit 2
    ;;
esac
printf '%s\n' "$audit"
# One command line, whose path simulate has quoted for a shell.
eval "$audit"
