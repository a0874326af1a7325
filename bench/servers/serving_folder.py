"""Writes a copy of a model folder that vLLM can load.

    python serving_folder.py models/figmath-policy /tmp/serving/figmath-policy

Only the names of the vision tower's weights differ: transformers 5.20 and later save a SigLIP tower
as `vision_tower.encoder...` and read both forms; vLLM 0.32 knows `vision_tower.vision_model.encoder...`
alone. A folder that has these names already is copied as it is. onnx/ stays behind.
"""

import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

OURS, THEIRS = "vision_tower.", "vision_tower.vision_model."


def main():
    source, out = map(Path, sys.argv[1:3])
    shutil.copytree(source, out, ignore=shutil.ignore_patterns("onnx"), dirs_exist_ok=True)
    weights = load_file(source / "model.safetensors")
    renamed = {served_name(name): weight for name, weight in weights.items()}
    save_file(renamed, out / "model.safetensors", metadata={"format": "pt"})


def served_name(name):
    if name.startswith(OURS) and not name.startswith(THEIRS):
        return THEIRS + name[len(OURS):]
    return name


if __name__ == "__main__":
    main()
