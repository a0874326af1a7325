#!/usr/bin/env bash
# Serves the embedded policy and reward model with vLLM, runs real-server.js against both, stops them.
#   npm run build && bench/servers/run-vllm.sh [options of real-server.js]
# VLLM_VENV: the virtual environment of install-vllm.sh. POLICY_PORT, PRM_PORT: 8701 and 8702.
set -euo pipefail
cd "$(dirname "$0")/../.."
policy_port=${POLICY_PORT:-8701}
prm_port=${PRM_PORT:-8702}
logs=$(mktemp -d)
pids=()

stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
}
trap stop EXIT

serve() {
  bench/servers/serve-vllm.sh "models/$1" "$2" >"$logs/$1.log" 2>&1 &
  pids+=($!)
}

# A start takes a minute on an idle machine, most of it Python's imports.
wait_for() {
  for _ in $(seq 600); do
    if curl --silent --fail --output /dev/null "http://127.0.0.1:$2/health"; then return; fi
    if ! kill -0 "$3" 2>/dev/null; then break; fi
    sleep 2
  done
  echo "the server of $1 did not start; the end of $logs/$1.log:" >&2
  tail -n 30 "$logs/$1.log" >&2
  exit 1
}

for port in "$policy_port" "$prm_port"; do
  if curl --silent --output /dev/null "http://127.0.0.1:$port/"; then
    echo "port $port is taken; choose others with POLICY_PORT and PRM_PORT" >&2
    exit 1
  fi
done

started=$SECONDS
serve figmath-policy "$policy_port"
serve figmath-prm "$prm_port"
wait_for figmath-policy "$policy_port" "${pids[0]}"
wait_for figmath-prm "$prm_port" "${pids[1]}"
echo "both servers are up after $((SECONDS - started)) s; logs in $logs" >&2
node dist/bench/servers/real-server.js \
  --policy "http://127.0.0.1:$policy_port/v1" --prm "http://127.0.0.1:$prm_port/v1" "$@"
