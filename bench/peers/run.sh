#!/usr/bin/env bash
# Measures the peers in PEERS_DIR and Steptree against the same simulated server (see README.md here).
# Arguments go to side-by-side.ts.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${PEERS_DIR:?folder with MM-PRM and search-and-learn, see bench/peers/README.md}"
export PEERS_DIR
export PEERS_PYTHON="${PEERS_PYTHON:-$PEERS_DIR/venv/bin/python}"
for path in MM-PRM/data_pipeline/omegaprm.py search-and-learn/src/sal/search/beam_search.py; do
  [[ -e "$PEERS_DIR/$path" ]] || { echo "PEERS_DIR has no $path; see bench/peers/README.md" >&2; exit 1; }
done
"$PEERS_PYTHON" -c 'import aiohttp, its_hub, numpy, openai, tqdm' || {
  echo "$PEERS_PYTHON lacks a package; see bench/peers/README.md" >&2
  exit 1
}
npx tsc -p tsconfig.build.json
exec node dist/bench/peers/side-by-side.js "$@"
