#!/usr/bin/env bash
# Installs what benches/*.py need: a virtual environment with the clients and chdb; with `peers` among the arguments,
# PostgreSQL and MariaDB from Debian; with `relay`, other proxies and a C compiler too. What is there already is not touched.
set -euo pipefail
cd "$(dirname "$0")/.."

cache="${XDG_CACHE_HOME:-$HOME/.cache}/flashgate"
venv="$cache/bench-venv"
stamp="$cache/bench-deps.$(sha256sum benches/requirements.txt | cut -c1-16)"

die() { printf '\n*** bench-deps: %s\n\n' "$*" >&2; exit 1; }

wanted() { [[ " $arguments " == *" $1 "* ]]; }
arguments="$*"

packages=()
command -v mariadb >/dev/null || packages+=(mariadb-client)
command -v psql >/dev/null || packages+=(postgresql-client)
if wanted peers; then
  command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || packages+=(mariadb-server)
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages+=(postgresql)
fi
if wanted relay; then
  command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || packages+=(haproxy)
  command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || packages+=(pgbouncer)
  command -v cc >/dev/null || packages+=(gcc libc6-dev)
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

# mysqlrouter is in Debian sid only. It and the libraries that it needs (24 MB) are unpacked into a folder of their own and run
# from there, by an apt that shares nothing with the system's. Without it the benchmark says so in its table.
router="$cache/mysql-router"
if wanted relay && ! command -v mysqlrouter >/dev/null && [ ! -x "$router/usr/bin/mysqlrouter" ]; then
  printf 'bench-deps: unpacking mysql-router of Debian sid into %s\n' "$router" >&2
  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/empty" "$work/root"
  : >"$work/status"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  # The mirror is the one that the machine itself uses.
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | awk '!/security/ && !found++')
  echo "deb [signed-by=$keys] $mirror sid main" >"$work/sources.list"
  own=(-o "Dir::State=$work" -o "Dir::State::status=$work/status" -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work")
  own+=(-o "Dir::Cache::archives=$work/archives" -o "Dir::Etc::sourcelist=$work/sources.list" -o "Dir::Etc::sourceparts=$work/empty")
  own+=(-o "Dir::Etc::preferencesparts=$work/empty" -o APT::Sandbox::User= -o Acquire::Languages=none -o Debug::NoLocking=1)
  if apt-get "${own[@]}" -qq update >/dev/null </dev/null &&
    apt-get "${own[@]}" -qq -y --no-install-recommends --download-only install mysql-router >/dev/null </dev/null; then
    for package in "$work"/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done
    rm -rf "$router" "$work/root/usr/share/doc" "$work/root/usr/share/man"
    mv "$work/root" "$router"
  else
    printf 'bench-deps: no mysql-router to be had; the benchmark goes without it\n' >&2
  fi
fi
