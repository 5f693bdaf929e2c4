#!/usr/bin/env bash
# Asks a running gateway whatever its OpenAPI document allows, and what it does not, and holds every answer against it.
# Needs: cargo build; tests/run.sh installs schemathesis.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/peers/install.sh

program=$PWD/${CARGO_TARGET_DIR:-target}/debug/mege-gateway
[ -z "${CARGO_TARGET_DIR:-}" ] || [ "${CARGO_TARGET_DIR#/}" = "$CARGO_TARGET_DIR" ] || program=$CARGO_TARGET_DIR/debug/mege-gateway
folder=$(mktemp -d "${TMPDIR:-/tmp}/mege-schemathesis.XXXXXX")
gateway=
cleanup() {
  [ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true
  [ -z "$gateway" ] || wait "$gateway" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"

# The demo has something behind every route, and dials nothing. It says on which port, which is free.
APP_PORT=0 "$program" demo >demo.log 2>&1 &
gateway=$!
root=
for _ in $(seq 600); do
  kill -0 "$gateway" || { cat demo.log; exit 1; }
  [ -n "$root" ] || root=$(sed -n 's|^The gateway .* on \(http://[^;]*\);.*|\1|p' demo.log)
  ! curl -fsS -o ready.json "$root/readyz" 2>/dev/null || break
  sleep 0.1
done

# After the first key nobody is let in without one.
key=$(curl -fsS "$root/v1/keys" -H 'Content-Type: application/json' \
  -d '{"name": "schemathesis", "scopes": ["calls:write", "cdr:read", "recordings:read", "status:read", "admin"]}' |
  sed -n 's/.*"secret":"\([^"]*\)".*/\1/p')
[ -n "$key" ] || { echo 'no key was made'; exit 1; }

ask() {
  "$MEGE_TEST_SCHEMATHESIS/bin/st" run "$root/openapi.json" --checks all --max-examples 40 --seed "${SEED:-$RANDOM}" \
    -H "Authorization: Bearer $key" "$@"
}

# What is paused or being restarted answers 503, as it should: with that, no answer of another route could be held against
# anything. Those two are asked for afterwards, among their own.
ask --exclude-path-regex '/(pause|restart)$'
ask --include-path-regex '/v1/integrations'
