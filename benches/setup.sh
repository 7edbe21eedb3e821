#!/usr/bin/env bash
# Installs what benches/*.py need: a virtual environment with the clients and chdb, and, with `peers` as the first
# argument, PostgreSQL and MariaDB from Debian. What is there already is not touched.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${XDG_CACHE_HOME:-$HOME/.cache}/flashgate"
venv="$cache/bench-venv"
stamp="$cache/bench-deps.$(sha256sum benches/requirements.txt | cut -c1-16)"

die() { printf '\n*** bench-deps: %s\n\n' "$*" >&2; exit 1; }

packages=()
command -v mariadb >/dev/null || packages+=(mariadb-client)
command -v psql >/dev/null || packages+=(postgresql-client)
if [ "${1:-}" = peers ]; then
  command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || packages+=(mariadb-server)
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages+=(postgresql)
fi
if [ "${#packages[@]}" -gt 0 ]; then
  command -v apt-get >/dev/null || die "these are missing and there is no apt-get here; install them by hand: ${packages[*]}"
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo -n)
  printf 'bench-deps: installing Debian packages: %s\n' "${packages[*]}" >&2
  install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}")
  "${install[@]}" >/dev/null </dev/null || { "${root[@]}" apt-get update -qq && "${install[@]}" >/dev/null </dev/null; } ||
    die "apt-get could not install: ${packages[*]}"
fi

if [ ! -e "$stamp" ] || [ ! -x "$venv/bin/python" ]; then
  mkdir -p "$cache"
  python3 -m venv "$venv" || die "python3 could not make a virtual environment in $venv (package python3-venv?)"
  printf 'bench-deps: installing Python packages into %s\n' "$venv" >&2
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r benches/requirements.txt </dev/null ||
    die "pip could not install the packages of benches/requirements.txt"
  rm -f "$cache"/bench-deps.*
  touch "$stamp"
fi
