"""Measures a trained reward model on sampled solutions of unseen problems.

    steptree figmath --split test --count 640 --seed 901 --out test
    node training/figmath_truth.mjs --split test --count 640 --seed 901 --out test/truth.jsonl
    node training/sample_solutions.mjs test/problems.jsonl --samples 16 --seed 7 --out test/samples.jsonl
    python training/eval_prm.py models/figmath-prm --problems test/problems.jsonl --samples test/samples.jsonl \\
        --truth test/truth.jsonl

Prints selection accuracy (best-of-N, weighted vote, majority, oracle), AUC among the candidates of a
problem, AUC of steps against the generator's truth, and calibration: of step scores against the path's
outcome, which is an unbiased sample of the value that the model estimates. Intervals are bootstrapped
over problems. Last line: JSON.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import LlavaForConditionalGeneration

from calibrate_prm import read_paths
from figmath_truth import StepTruth
from prm_data import PathEncoder, Row
from prm_metrics import (
    AGGREGATIONS, auc, bootstrap, calibration_error, mean_of, select, within_problem_auc,
)
from prm_model import Readout, picture_features
from train_prm import score_paths


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", help="trained folder (Hugging Face layout)")
    parser.add_argument("--problems", required=True)
    parser.add_argument("--samples", required=True, help="of sample_solutions.mjs")
    parser.add_argument("--truth", default=None, help="of figmath_truth.mjs")
    parser.add_argument("--likelihood", default=None, help="of calibrate_prm.py: value and likelihood together")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scores", default=None, help="write raw step scores here, JSONL")
    return parser.parse_args()


def score(args, rows, problems):
    model = LlavaForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(f"{args.model}/tokenizer.json")
    encoder, readout = PathEncoder(tokenizer), Readout(tokenizer)
    folder = Path(args.problems).parent
    pictures = picture_features(model, [folder / problems[row["id"]]["image"] for row in rows]).float()
    at = {row["id"]: i for i, row in enumerate(rows)}
    encoded = []
    for row in rows:
        paths = [(*encoder.path(steps), None, None, None) for steps in row["solutions"]]
        paths = [(np.asarray(ids), marks, [0.0] * len(marks), [1.0] * len(marks), 0) for ids, marks, *_ in paths]
        # Eight paths to a sequence keep attention narrow.
        for start in range(0, len(paths), 8):
            encoded.append((row["id"], encoder.prompt(problems[row["id"]]["question"]), paths[start : start + 8]))
    if args.likelihood:
        return score_with_likelihood(args, model, readout, encoder, rows, encoded, pictures)
    scored = score_paths(model, readout, encoder, encoded, lambda ids: pictures[[at[i] for i in ids]])
    merged = {row["id"]: [] for row in rows}
    for (name, _, _), part in zip(encoded, scored):
        merged[name] += part
    return [merged[row["id"]] for row in rows]


def score_with_likelihood(args, model, readout, encoder, rows, encoded, pictures):
    """sigmoid(valueWeight * value logit + weight * log-likelihood + bias) at every marker."""
    facts = json.loads(Path(args.likelihood).read_text())
    at = {row["id"]: i for i, row in enumerate(rows)}
    merged = {row["id"]: [] for row in rows}
    for name, prompt, paths in encoded:
        read = read_paths(model, readout, encoder, Row(0, prompt, paths), pictures[[at[name]]])
        for values, sums in read:
            logits = facts["valueWeight"] * values + facts["weight"] * sums + facts["bias"]
            merged[name].append(logits.sigmoid().tolist())
    return [merged[row["id"]] for row in rows]


def selection(rows, scored, seed):
    """Accuracy by rule for N = 1, 2, 4, 8, 16; smaller N averaged over the disjoint parts."""
    result = {}
    most = len(rows[0]["solutions"])
    for count in (1, 2, 4, 8, 16):
        if count > most:
            break
        per_problem = []
        for row, scores in zip(rows, scored):
            parts = []
            for start in range(0, most, count):
                chosen = slice(start, start + count)
                parts.append(select(row["solutions"][chosen], scores[chosen], [int(r) for r in row["right"][chosen]]))
            per_problem.append(mean_of(parts))
        table = {key: round(value, 4) for key, value in mean_of(per_problem).items()}
        if count == most:
            for key in [k for k in table if k != "mean"]:
                table[f"{key} 95%"] = bootstrap([row[key] for row in per_problem], seed)
            for key in [k for k in per_problem[0] if "/" in k]:
                gain = [row[key] - row["majority"] for row in per_problem]
                table[f"{key} - majority"] = [round(float(np.mean(gain)), 4), *bootstrap(gain, seed)]
        result[count] = table
    return result


def step_truth(rows, scored, truth):
    """AUC of step scores against 'everything so far is right'; over all steps, up to the first error,
    and by kind of step."""
    seen = []  # (score, right, kind, up to the first error, problem)
    for number, (row, scores) in enumerate(zip(rows, scored)):
        judge = StepTruth(truth[row["id"]])
        for steps, path_scores in zip(row["solutions"], scores):
            before = True
            for (right, kind), value in zip(judge.path(steps), path_scores):
                if right is None:
                    break
                seen.append((value, right, kind, before, number))
                before = before and right
    values, rights, kinds, first, owner = (np.array(column) for column in zip(*seen))

    def area(chosen):
        return auc(values[chosen & rights], values[chosen & ~rights])

    everything = np.ones(len(values), bool)
    result = {"steps": len(values), "right": float(rights.mean()), "auc": area(everything), "auc up to first error": area(first)}
    for kind in ("reading", "arithmetic", "answer"):
        result[f"auc {kind}"] = area(kinds == kind)
        result[f"auc up to first error, {kind}"] = area(first & (kinds == kind))
    result["calibration against truth"] = calibration_error(values, rights)
    source, problems = np.random.default_rng(0), len(rows)
    by_owner = [np.flatnonzero(owner == number) for number in range(problems)]
    rounds = []
    for _ in range(50):
        drawn = np.concatenate([by_owner[i] for i in source.integers(0, problems, problems)])
        rounds.append(auc(values[drawn][rights[drawn]], values[drawn][~rights[drawn]]))
    result["auc 95%"] = [float(q) for q in np.quantile(rounds, [0.025, 0.975])]
    return result


def main():
    args = parse()
    torch.set_num_threads(args.threads)
    problems = {p["id"]: p for p in map(json.loads, Path(args.problems).read_text().splitlines())}
    rows = [json.loads(line) for line in Path(args.samples).read_text().splitlines()]
    rows = rows[: args.limit or len(rows)]
    began = time.time()
    scored = score(args, rows, problems)
    seconds = time.time() - began
    if args.scores:
        lines = [json.dumps({"id": r["id"], "scores": s, "right": r["right"]}) + "\n" for r, s in zip(rows, scored)]
        Path(args.scores).write_text("".join(lines))
    result = {"problems": len(rows), "seconds": round(seconds, 1), "selection": selection(rows, scored, args.seed)}
    for name, aggregate in AGGREGATIONS.items():
        groups = [([aggregate(s) for s in scores], row["right"]) for row, scores in zip(rows, scored)]
        result[f"auc within problem/{name}"] = within_problem_auc(groups)
    flat = [(s, right) for row, scores in zip(rows, scored) for path, right in zip(scores, row["right"]) for s in path]
    last = [(path[-1], right) for row, scores in zip(rows, scored) for path, right in zip(scores, row["right"])]
    result["calibration of steps"] = calibration_error(*zip(*flat))
    result["calibration of last steps"] = calibration_error(*zip(*last))
    if args.truth:
        truth = {t["id"]: t for t in map(json.loads, Path(args.truth).read_text().splitlines())}
        result["truth"] = step_truth(rows, scored, truth)
        for family in sorted({t["family"] for t in truth.values()}):
            chosen = [i for i, row in enumerate(rows) if truth[row["id"]]["family"] == family]
            each = [select(rows[i]["solutions"], scored[i], [int(r) for r in rows[i]["right"]]) for i in chosen]
            result[f"family/{family}"] = {k: round(v, 3) for k, v in mean_of(each).items()}
    table = result["selection"]
    for count, accuracies in table.items():
        shown = {k: v for k, v in accuracies.items() if " " not in k}
        print(f"N={count}: " + ", ".join(f"{k} {100 * v:.1f}" for k, v in shown.items()))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
