#!/usr/bin/env bash
# Installs what the tests need beside the Rust toolchain: database servers, clients and a Java runtime from Debian, Python
# packages in a virtual environment, Node modules in a folder. Everything but the Debian packages goes below
# ${XDG_CACHE_HOME:-~/.cache}/flashgate. Running it again costs nothing: a stamp says that this version of the lists
# is installed. It says loudly what it could not install.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${XDG_CACHE_HOME:-$HOME/.cache}/flashgate"
venv="$cache/venv"
node="$cache/node"
requirements=scripts/test-requirements.txt
node_modules=(mysql2@3 pg@8)
suites=tests/lab/suites
suite_lists=("$suites/install.py" "$suites/requirements.txt" "$suites/crates.py" "$suites/rust/"*.* "$suites/rust/"*/*.toml "$suites/rust/sqlx/tests/lib.rs")
stamp="$cache/test-deps.$(cat "$0" "$requirements" "${suite_lists[@]}" | sha256sum | cut -c1-16)"

say() { printf 'test-deps: %s\n' "$*" >&2; }
die() { printf '\n*** test-deps: %s\n\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# What the tests will call must be there, whatever the stamp says: machines are cleaned up.
complete() {
  have mysql && have psql && have java && have node && [ -x "$venv/bin/pytest" ] && [ -d "$node/node_modules/pg" ] && [ -x "$cache/suites/venv/bin/pytest" ] &&
    ls "$cache"/suites/rust-*/bin/sqlx >/dev/null 2>&1 &&
    [ -x /usr/sbin/mariadbd ] && ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 &&
    [ -e /usr/share/java/postgresql.jar ] && ls /usr/share/java/mariadb-java-client*.jar >/dev/null 2>&1
}

if [ -e "$stamp" ] && complete; then
  exit 0
fi
mkdir -p "$cache"

# --- Debian packages, only those whose parts are missing -------------------------------------------------------------
packages=()
have mysql || packages+=(mariadb-client)
have psql || packages+=(postgresql-client)
ls /usr/share/java/mariadb-java-client*.jar >/dev/null 2>&1 || packages+=(libmariadb-java)
[ -e /usr/share/java/postgresql.jar ] || packages+=(libpostgresql-jdbc-java)
# The JDBC tests are compiled where there is a compiler; a single source file runs with `java` of a JDK alone.
have javac || packages+=(default-jdk-headless)
# Servers that Flashgate stands in front of.
[ -x /usr/sbin/mariadbd ] || packages+=(mariadb-server)
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages+=(postgresql)
have debootstrap || packages+=(debootstrap)
# mysqlclient is built from source.
have mariadb_config || packages+=(libmariadb-dev)
have pkg-config || packages+=(pkg-config)
have gcc || packages+=(gcc libc6-dev)
ls /usr/include/python3*/Python.h >/dev/null 2>&1 || packages+=(python3-dev)
have node || packages+=(nodejs)
have npm || packages+=(npm)
have python3 || packages+=(python3)
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)

if [ "${#packages[@]}" -gt 0 ]; then
  have apt-get || die "these are missing and there is no apt-get here to install them; install them by hand: ${packages[*]}"
  root=()
  if [ "$(id -u)" -ne 0 ]; then
    have sudo || die "not root and no sudo; run this as root once: apt-get install --no-install-recommends ${packages[*]}"
    root=(sudo -n)
  fi
  say "installing Debian packages: ${packages[*]}"
  log="$cache/apt.log"
  # The package lists may be old: refresh them only when the first try fails.
  install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}")
  if ! "${install[@]}" >"$log" 2>&1 </dev/null; then
    "${root[@]}" apt-get update >>"$log" 2>&1 </dev/null || true
    "${install[@]}" >>"$log" 2>&1 </dev/null || { tail -20 "$log" >&2; die "apt-get could not install: ${packages[*]} (whole log: $log)"; }
  fi
fi

# --- Python ------------------------------------------------------------------------------------------------------------
[ -x "$venv/bin/python" ] || python3 -m venv "$venv" || die "python3 could not make a virtual environment in $venv"
say "installing Python packages into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" </dev/null ||
  die "pip could not install the packages of $requirements"

# --- the drivers' own tests: Python's with pinned drivers in an environment of their own, Rust's built -----------------------------
have cargo || die "cargo is missing: the Rust toolchain comes first"
say "bringing the drivers' own tests into $cache/suites; those of Rust take some minutes to build"
PYTHONPATH="$suites/.." FLASHGATE_TEST_CACHE="$cache" "$venv/bin/python" -m suites.install >"$cache/suites.log" 2>&1 </dev/null ||
  { tail -20 "$cache/suites.log" >&2; die "the drivers' own tests could not be brought (whole log: $cache/suites.log)"; }

# --- MySQL: not in Debian's stable release. Without it its tests do not run, and their summary says so ----------------------
"$venv/bin/python" tests/lab/upstreams.py fetch-mysql >"$cache/mysql.log" 2>&1 </dev/null ||
  say "*** MySQL 9.7 cannot be had here (log: $cache/mysql.log): its tests will not run ***"

# --- Node --------------------------------------------------------------------------------------------------------------
say "installing Node modules into $node: ${node_modules[*]}"
mkdir -p "$node"
npm install --prefix "$node" --no-audit --no-fund --no-update-notifier --loglevel=error "${node_modules[@]}" >"$cache/npm.log" 2>&1 </dev/null ||
  { tail -20 "$cache/npm.log" >&2; die "npm could not install: ${node_modules[*]} (whole log: $cache/npm.log)"; }

complete || die "everything was installed, but something that the tests call is still missing (see the checks in $0)"
rm -f "$cache"/test-deps.*
touch "$stamp"
say "done"
