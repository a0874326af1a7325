"""Moves a reward model to a base that has learned more since, with one command.

    python training/move_base.py training/out-prm2/prm --before training/out-base --after training/out-base2 \\
        --out training/out-moved/prm

Adds the base's own change to the reward model's weights (task arithmetic, arXiv 2212.04089): both are
descendants of `--before`, and what each has learned since adds up well enough to train on from there.
Layers that only the reward model has stay as they are.
"""

import argparse
import shutil
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("prm", help="folder of the reward model")
    parser.add_argument("--before", required=True, help="the base that it descends from")
    parser.add_argument("--after", required=True, help="that base, trained on")
    parser.add_argument("--out", required=True, help="folder to write")
    return parser.parse_args()


def weights(folder):
    with safe_open(f"{folder}/model.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def main():
    args = parse()
    (prm, metadata), (before, _), (after, _) = weights(args.prm), weights(args.before), weights(args.after)
    missing = sorted(before.keys() - prm.keys())
    if missing or before.keys() != after.keys():
        raise SystemExit(f"no descendant of {args.before}: {missing or 'the two bases differ in their layers'}")
    moved = 0
    for name, old in before.items():
        change = after[name].float() - old.float()
        moved += bool(change.abs().max() > 0)
        prm[name] = (prm[name].float() + change).to(prm[name].dtype).contiguous()
    out = Path(args.out)
    shutil.copytree(args.prm, out, dirs_exist_ok=True)
    save_file(prm, out / "model.safetensors", metadata=metadata)
    print(f"{moved} of {len(prm)} tensors moved, written to {out}")


if __name__ == "__main__":
    main()
