# A PostgreSQL of this run alone: own data directory, free loopback port, no socket file, nothing kept.

postgres_pid=
postgres_dir=

as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    # The death signal: it must not outlive this script, even a killed one.
    set -- setpriv --reuid=postgres --regid=postgres --init-groups --pdeathsig QUIT "$@"
  fi
  exec "$@"
}

start_postgres() {
  local bin port
  bin=$(postgres_bin)
  postgres_dir=$(mktemp -d "${TMPDIR:-/tmp}/mege-postgres.XXXXXX") || return 1
  [ "$(id -u)" != 0 ] || chown postgres: "$postgres_dir" || return 1
  (cd "$postgres_dir" && as_postgres "$bin/initdb" --pgdata=data --username=postgres --auth=trust \
    --encoding=UTF8 --locale=C.UTF-8 --no-sync) \
    >"$postgres_dir/initdb.log" 2>&1 || { cat "$postgres_dir/initdb.log"; return 1; }
  postgres_certificate >"$postgres_dir/openssl.log" 2>&1 || { cat "$postgres_dir/openssl.log"; return 1; }
  # Below the kernel's ephemeral ports, which the tests draw from. Taken? Then it ends at once and the next is tried.
  for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 10000))
    (cd "$postgres_dir" && as_postgres "$bin/postgres" -D data -p "$port" -c listen_addresses=127.0.0.1 \
      -c unix_socket_directories= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
      -c ssl=on -c max_connections=300) >"$postgres_dir/postgres.log" 2>&1 &
    postgres_pid=$!
    if postgres_ready; then
      export MEGE_TEST_POSTGRES_URL="postgres://postgres@127.0.0.1:$port/postgres"
      export MEGE_TEST_POSTGRES_CA="$postgres_dir/ca.crt"
      return 0
    fi
    stop_server
  done
  cat "$postgres_dir/postgres.log"
  return 1
}

# A certificate for `localhost` and no other name, of an authority of its own.
postgres_certificate() (
  set -e
  cd "$postgres_dir"
  local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  openssl req -x509 "${key[@]}" -keyout ca.key -out ca.crt -days 2 -subj "/CN=tests"
  openssl req -new "${key[@]}" -keyout server.key -out server.csr -subj "/CN=localhost"
  openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out server.crt \
    -extfile <(echo "subjectAltName=DNS:localhost")
  install -m 0600 ${EUID:+$([ "$EUID" != 0 ] || echo "-o postgres -g postgres")} server.key server.crt data/
)

# Its own pid file says so: an answer on the port could be somebody else's.
postgres_ready() {
  for _ in $(seq 600); do
    kill -0 "$postgres_pid" 2>/dev/null || return 1
    ! grep -qs '^ready' "$postgres_dir/data/postmaster.pid" || return 0
    sleep 0.2
  done
  return 1
}

stop_server() {
  [ -z "$postgres_pid" ] || kill -QUIT "$postgres_pid" 2>/dev/null || true
  [ -z "$postgres_pid" ] || wait "$postgres_pid" 2>/dev/null || true
  postgres_pid=
}

stop_postgres() {
  stop_server
  [ -z "$postgres_dir" ] || rm -rf "$postgres_dir"
  postgres_dir=
}
