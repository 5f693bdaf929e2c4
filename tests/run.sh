#!/usr/bin/env bash
# Everything a change must pass: style, lints, all tests with real peers, documents, licences.
# On Debian as root it installs what is missing. CI=true: a peer that cannot be had is a failure;
# otherwise the tests that need it are left out, with a word on how to get it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

. tests/peers/install.sh
. tests/peers/postgres.sh

# What a killed test leaves behind goes with it. Others (postgres) may pass through, not look.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/mege-tests.XXXXXX")
chmod 711 "$TMPDIR"
export TMPDIR

running=
summary=
cleanup() {
  local status=$?
  trap - EXIT INT TERM HUP
  [ -z "$running" ] || kill -TERM -- "-$running" 2>/dev/null || true
  [ -z "$running" ] || wait "$running" 2>/dev/null || true
  stop_postgres
  rm -rf "$TMPDIR"
  printf '%s' "$summary"
  [ "$status" = 0 ] || echo "tests/run.sh: failed" >&2
  exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# step NAME COMMAND...: runs it in a process group of its own, so that a signal to this script ends it at once.
step() {
  local name=$1 begin=$SECONDS status=0
  shift
  echo "==> $name"
  set -m
  "$@" &
  running=$!
  set +m
  wait "$running" || status=$?
  running=
  summary+=$(printf '%5d s  %s%s' $((SECONDS - begin)) "$name" "$([ $status = 0 ] || echo ' (failed)')")$'\n'
  return "$status"
}

# peers: installs and starts every peer; leaves the reason in `missing` when one cannot be had.
missing=
peers() {
  step "install: Debian packages" install_packages || { missing=$packages_missing; return 1; }
  step "install: Asterisk 22" install_asterisk || { missing=$asterisk_missing; return 1; }
  step "install: schemathesis" install_schemathesis || { missing=$schemathesis_missing; return 1; }
  step "install: promtool" install_promtool || { missing=$promtool_missing; return 1; }
  start_postgres || { missing="PostgreSQL did not start"; return 1; }
}

step "install: cargo tools" install_cargo_tools
features=(--all-features)
if ! peers; then
  echo "No real peers: $missing" >&2
  [ "${CI:-}" != true ] || exit 1
  echo "Going on without the tests that need them." >&2
  features=()
fi

step "fmt" cargo fmt --check
step "clippy" cargo clippy --locked --all-targets --all-features -- -D warnings
step "tests" cargo nextest run --locked "${features[@]}"
if [ ${#features[@]} != 0 ]; then
  # Built already, with the tests of the program.
  step "schemathesis" tests/peers/schemathesis.sh
fi
step "tests in documents" cargo test --doc --locked --all-features
# Private items too: the links inside a module's own documents are checked as well.
step "documents" env RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps --all-features --document-private-items
step "deny" cargo deny --config .deny.toml check licenses bans sources
