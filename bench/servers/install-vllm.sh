#!/usr/bin/env bash
# Installs the CPU build of vLLM into a virtual environment of its own (6 GB; Linux, x86-64 with AVX2,
# Python 3.10 to 3.13).
#   bench/servers/install-vllm.sh [DIR]        default: ~/.cache/steptree/vllm-venv
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-${VLLM_VENV:-$HOME/.cache/steptree/vllm-venv}}
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --no-deps --no-compile -r "$here/requirements.txt"
"$venv/bin/python" -c 'from vllm.platforms import current_platform as p; print("vLLM for", p.device_type)'
