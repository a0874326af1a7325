#!/usr/bin/env bash
# Serves a model folder with the CPU build of vLLM until it is stopped.
#   bench/servers/serve-vllm.sh models/figmath-policy 8701
# VLLM_VENV: the virtual environment of install-vllm.sh. SERVING_DIR: where the copy for vLLM goes.
set -euo pipefail
folder=$1
port=$2
here=$(cd "$(dirname "$0")" && pwd)
venv=${VLLM_VENV:-$HOME/.cache/steptree/vllm-venv}
name=$(basename "$folder")
copy=${SERVING_DIR:-${TMPDIR:-/tmp}/steptree-serving}/$name

"$venv/bin/python" "$here/serving_folder.py" "$folder" "$copy"

# One core a server and 1 GiB of keys and values are plenty for models of this size; nothing is
# looked up outside.
export OMP_NUM_THREADS=1 VLLM_CPU_OMP_THREADS_BIND=nobind VLLM_CPU_KVCACHE_SPACE=1
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1

# --enforce-eager: no compiler is needed. --generation-config vllm: no sampling defaults but the request's.
# --enable-prompt-tokens-details: replies say how many prompt tokens the prefix cache saved.
# --max-logprobs: the whole vocabulary may be asked for (--prm-mode prompt-logprobs needs it here).
# --block-size 32: the default, 128, is longer than most prompts here, and only whole blocks are cached.
exec "$venv/bin/python" -m vllm.entrypoints.openai.api_server --model "$copy" \
  --served-model-name "$name" --host 127.0.0.1 --port "$port" --dtype float32 --max-model-len 512 \
  --enforce-eager --generation-config vllm --limit-mm-per-prompt '{"image": 1}' \
  --enable-prompt-tokens-details --max-logprobs 640 --block-size 32
