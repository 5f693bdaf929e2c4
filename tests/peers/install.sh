# What the tests need beside Rust: each function installs one thing, and does nothing when it is there.

packages_missing='as root on Debian: apt-get install postgresql sip-tester python3-venv curl debootstrap chromium chromium-driver'
asterisk_missing='as root on Debian, with a network: tests/run.sh puts Asterisk 22 into MEGE_TEST_ASTERISK_ROOT'

postgres_bin() {
  # The newest one, if several are installed.
  printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1
}

install_packages() {
  local packages=()
  [ -x "$(postgres_bin)/initdb" ] || packages+=(postgresql)
  command -v sipp >/dev/null || packages+=(sip-tester)
  python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
  command -v curl >/dev/null || packages+=(curl)
  command -v debootstrap >/dev/null || [ -d "$MEGE_TEST_ASTERISK_ROOT" ] || packages+=(debootstrap)
  command -v chromium >/dev/null || packages+=(chromium)
  command -v chromedriver >/dev/null || packages+=(chromium-driver)
  [ ${#packages[@]} != 0 ] || return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q && apt-get install -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends "${packages[@]}"
}

# Debian 12 and 13 have no Asterisk 22, `forky` has: it lives in a folder of its own, entered by chroot.
export MEGE_TEST_ASTERISK_ROOT="${MEGE_TEST_ASTERISK_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/mege-gateway/asterisk-22}"

install_asterisk() {
  # The tests enter it by chroot.
  [ "$(id -u)" = 0 ] || return 1
  local root=$MEGE_TEST_ASTERISK_ROOT
  if [ -d "$root" ]; then
    # Folders of tests that were killed: no test takes an hour.
    find "$root/tmp" -mindepth 1 -maxdepth 1 -name 'mege-*' -mmin +60 -exec rm -rf --one-file-system {} +
    return 0
  fi
  mkdir -p "$(dirname "$root")" || return 1
  (
    # One install at a time. It is made under another name and renamed when whole: an interrupted one is never used.
    exec 9>"$root.lock" && flock 9 || exit 1
    [ ! -d "$root" ] || exit 0
    rm -rf --one-file-system "$root.partial" || exit 1
    # In a mount namespace of its own, so that no /proc or /sys stays mounted there.
    # Debian 12's debootstrap does not know the name `forky`; the script of `sid` serves every suite. No mirror is named:
    # it takes its own default.
    unshare --mount --fork --kill-child debootstrap --variant=minbase --include=asterisk \
      forky "$root.partial" '' /usr/share/debootstrap/scripts/sid \
      >"$root.log" 2>&1 || { tail -n 20 "$root.log"; exit 1; }
    chroot "$root.partial" asterisk -V | grep '^Asterisk 22\.' || exit 1
    mv -T "$root.partial" "$root"
  )
}

# From PyPI, in an environment of its own.
export MEGE_TEST_SCHEMATHESIS="${XDG_CACHE_HOME:-$HOME/.cache}/mege-gateway/schemathesis-4.32.5"
schemathesis_missing='python3 -m venv, and PyPI'

install_schemathesis() {
  [ ! -x "$MEGE_TEST_SCHEMATHESIS/bin/st" ] || return 0
  (
    mkdir -p "$(dirname "$MEGE_TEST_SCHEMATHESIS")" && exec 9>"$MEGE_TEST_SCHEMATHESIS.lock" && flock 9 || exit 1
    [ ! -x "$MEGE_TEST_SCHEMATHESIS/bin/st" ] || exit 0
    rm -rf "$MEGE_TEST_SCHEMATHESIS"
    python3 -m venv "$MEGE_TEST_SCHEMATHESIS" &&
      "$MEGE_TEST_SCHEMATHESIS/bin/pip" install --quiet schemathesis==4.32.5
  )
}

# promtool alone, out of Debian's package `prometheus`: installed, that would start a server.
export MEGE_TEST_PROMTOOL="${MEGE_TEST_PROMTOOL:-${XDG_CACHE_HOME:-$HOME/.cache}/mege-gateway/promtool}"
promtool_missing='on Debian: tests/run.sh takes promtool out of the package prometheus, or MEGE_TEST_PROMTOOL names one'

install_promtool() {
  [ ! -x "$MEGE_TEST_PROMTOOL" ] || return 0
  command -v dpkg-deb >/dev/null || return 1
  local parent folder status=0
  parent=$(dirname "$MEGE_TEST_PROMTOOL")
  mkdir -p "$parent" && folder=$(mktemp -d "$parent/promtool.XXXXXX") || return 1
  (
    cd "$folder" || exit 1
    # Without lists of packages nothing is found.
    apt-get download -q prometheus 2>/dev/null || { apt-get update -q && apt-get download -q prometheus; } || exit 1
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool || exit 1
    # Whole when it is there, also where two install it at once.
    mv -T usr/bin/promtool "$MEGE_TEST_PROMTOOL"
  ) || status=1
  rm -rf "$folder"
  return "$status"
}

install_cargo_tools() {
  cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny --version 0.20.2 || return 1
  # Each test has a process of its own with it, so that metrics are those of one test.
  cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest --version 0.9.143 || return 1
}
