#!/usr/bin/env bash
# Runs the demo's story through both protocols against a data directory of its own. `make demo-tour` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cargo run --quiet -- demo --tour --data-dir "$dir" \
  --mysql-listen 127.0.0.1:0 --postgres-listen 127.0.0.1:0 --http-listen 127.0.0.1:0 </dev/null
