"""Measures a critic: does the solution that goes on from its corrected step reach the answer?

    python training/eval_critic.py models/figmath-critic --problems test/problems.jsonl \\
        --samples test/samples.jsonl --truth test/truth.jsonl --work training/out-critic/eval

Takes wrong sampled solutions of unseen problems and compares, per solution, the share of right answers of
  corrected   prefix, the critic's step (greedy), then the policy
  resampled   the policy from the same prefix
  fresh       the policy from nothing
with the wrong step located by the critic's own scores (the first below --threshold times the score
before it) and, to judge the writing alone, by the generator's truth. Last line: JSON.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
import torch

import eval_prm
from figmath_truth import StepTruth
from prm_data import MARKER, NEGATIVE
from prm_metrics import bootstrap

SAMPLER = Path(__file__).with_name("sample_solutions.mjs")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--problems", required=True)
    parser.add_argument("--samples", required=True)
    parser.add_argument("--truth", required=True)
    parser.add_argument("--work", required=True, help="folder for intermediate files")
    parser.add_argument("--limit", type=int, default=300, help="problems")
    parser.add_argument("--continuations", type=int, default=4)
    parser.add_argument("--threshold", type=float, default=0.5, help="a step is wrong below this share of the score before")
    parser.add_argument("--blind", action="store_true", help="the critic writes from the prefix alone, without the wrong step")
    parser.add_argument("--likelihood", default=None, help="of calibrate_prm.py, where the critic's scores weigh the likelihood")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def run_sampler(problems_file, prefixes, out, *options):
    """Continues prefixes: {problem id: [prefix, ...]}; gives [(id, prefix, solutions, right)]."""
    problems = [json.loads(line) for line in Path(problems_file).read_text().splitlines()]
    folder = Path(problems_file).resolve().parent
    lines = [
        json.dumps(p | {"image": str(folder / p["image"]), "prefixes": prefixes[p["id"]]}) + "\n"
        for p in problems if prefixes.get(p["id"])
    ]
    asked = Path(f"{out}.asked.jsonl")
    asked.write_text("".join(lines))
    subprocess.run(["node", SAMPLER, asked, "--out", out, *options], check=True)
    return [json.loads(line) for line in Path(out).read_text().splitlines()]


def first_drop(scores, threshold):
    before = 1.0
    for index, score in enumerate(scores):
        if score < threshold * before and score < 0.5:
            return index
        before = score
    return int(np.argmin(scores))


def first_error(steps, judge):
    for index, (right, _) in enumerate(judge.path(steps)):
        if right is not True:
            return index
    return None


def compare(args, chosen, name):
    """chosen: {id: (steps, index of the wrong step)}"""
    work = Path(args.work)
    shown = lambda steps, at: [] if args.blind else [steps[at] + MARKER + NEGATIVE]
    asked = {i: [[*(s + MARKER for s in steps[:at]), *shown(steps, at)]] for i, (steps, at) in chosen.items()}
    written = run_sampler(args.problems, asked, work / f"{name}-written.jsonl", "--model", args.model,
                          "--samples", "1", "--temperature", "0", "--until", "step")
    corrected, same = {}, 0
    for row in written:
        steps, at = chosen[row["id"]]
        fresh = row["solutions"][0][len(row["prefix"]) :]
        step = fresh[0] if fresh else ""
        same += step == steps[at]
        if step:
            corrected[row["id"]] = [*steps[:at], step.replace(MARKER, "")]
    options = ("--samples", str(args.continuations), "--seed", str(args.seed + 1))
    fixed = run_sampler(args.problems, {i: [p] for i, p in corrected.items()}, work / f"{name}-fixed.jsonl", *options)
    again = run_sampler(args.problems, {i: [list(steps[:at])] for i, (steps, at) in chosen.items()}, work / f"{name}-again.jsonl", *options)
    share = lambda rows: {row["id"]: float(np.mean(row["right"])) for row in rows}
    return corrected, share(fixed), share(again), same


def main():
    args = parse()
    Path(args.work).mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    problems = {p["id"]: p for p in map(json.loads, Path(args.problems).read_text().splitlines())}
    truth = {t["id"]: t for t in map(json.loads, Path(args.truth).read_text().splitlines())}
    rows = [json.loads(line) for line in Path(args.samples).read_text().splitlines()][: args.limit]
    fresh = {row["id"]: float(np.mean(row["right"])) for row in rows}
    wrong = [row | {"solutions": [row["solutions"][row["right"].index(False)]]} for row in rows if False in row["right"]]
    scored = eval_prm.score(args, wrong, problems)
    own, known, hits = {}, {}, []
    for row, scores in zip(wrong, scored):
        steps = row["solutions"][0]
        error = first_error(steps, StepTruth(truth[row["id"]]))
        own[row["id"]] = (steps, first_drop(scores[0], args.threshold))
        if error is not None:
            known[row["id"]] = (steps, error)
            hits.append(own[row["id"]][1] == error)
    result = {"solutions": len(own), "first error found": float(np.mean(hits))}
    for name, chosen in (("own", own), ("known", known)):
        corrected, fixed, again, same = compare(args, chosen, name)
        ids = sorted(chosen)
        values = {
            "corrected": [fixed.get(i, 0.0) for i in ids],
            "resampled": [again[i] for i in ids],
            "fresh": [fresh[i] for i in ids],
        }
        found = {key: [round(float(np.mean(v)), 4), *bootstrap(v, args.seed)] for key, v in values.items()}
        for other in ("resampled", "fresh"):
            gain = np.subtract(values["corrected"], values[other])
            found[f"corrected - {other}"] = [round(float(gain.mean()), 4), *bootstrap(gain, args.seed)]
        judged = [StepTruth(truth[i]).path(path)[-1][0] is True for i, path in corrected.items()]
        found |= {"corrected prefix right": float(np.mean(judged)), "same step again": same / len(ids), "no step": 1 - len(corrected) / len(ids)}
        result[name] = found
    print(json.dumps(result))


if __name__ == "__main__":
    main()
