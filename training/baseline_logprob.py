"""The reward model to beat: the policy's own log-probability of a step as its score.

    python training/baseline_logprob.py models/figmath-policy --problems test/problems.jsonl --samples test/samples.jsonl

A step's score is the probability of its tokens given the steps before it (product, and its geometric
mean). Prints within-problem AUC and best-of-N as eval_prm.py does.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import LlavaForConditionalGeneration

from prm_data import PathEncoder, Row, pack
from prm_metrics import AGGREGATIONS, mean_of, select, within_problem_auc
from prm_model import hidden_states, picture_features


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--problems", required=True)
    parser.add_argument("--samples", required=True)
    parser.add_argument("--limit", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = LlavaForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32).eval()
    encoder = PathEncoder(Tokenizer.from_file(f"{args.model}/tokenizer.json"))
    problems = {p["id"]: p for p in map(json.loads, Path(args.problems).read_text().splitlines())}
    rows = [json.loads(line) for line in Path(args.samples).read_text().splitlines()]
    rows = rows[: args.limit or len(rows)]
    folder = Path(args.problems).parent
    pictures = picture_features(model, [folder / problems[r["id"]]["image"] for r in rows]).float()
    kinds = {"probability": [], "geometric mean": []}
    for row, picture in zip(rows, pictures):
        paths = []
        for steps in row["solutions"]:
            ids, ends = [], []
            for index, step in enumerate(steps):
                ids += ([encoder.separator] if index else []) + encoder.step(step)
                ends.append(len(ids) - 1)
            # Outcome 1 asks `pack` for the places of all written tokens.
            paths.append((np.asarray(ids), ends, [0.0] * len(ends), [1.0] * len(ends), 1))
        scores = {kind: [] for kind in kinds}
        for start in range(0, len(paths), 8):
            part = paths[start : start + 8]
            batch = pack([Row(0, encoder.prompt(problems[row["id"]]["question"]), part)], encoder)
            hidden = hidden_states(model, batch, picture[None])
            r, c, target = batch["written"].T
            likely = model.lm_head(hidden[r, c]).log_softmax(-1).gather(1, target[:, None])[:, 0].numpy()
            at = 0
            for ids, ends, *_ in part:
                cuts = [at, *(at + end + 1 for end in ends)]
                sums = [likely[a:b].sum() for a, b in zip(cuts, cuts[1:])]
                scores["probability"].append([float(np.exp(s)) for s in sums])
                scores["geometric mean"].append([float(np.exp(s / (b - a))) for s, a, b in zip(sums, cuts, cuts[1:])])
                at = cuts[-1]
        for kind in kinds:
            kinds[kind].append(scores[kind])
    for kind, scored in kinds.items():
        result = {}
        for name, aggregate in AGGREGATIONS.items():
            groups = [([aggregate(s) for s in scores], row["right"]) for row, scores in zip(rows, scored)]
            result[f"auc/{name}"] = within_problem_auc(groups)
        result |= mean_of([select(r["solutions"], s, [int(x) for x in r["right"]]) for r, s in zip(rows, scored)])
        print(kind, json.dumps({k: round(v, 4) for k, v in result.items()}))


if __name__ == "__main__":
    main()
