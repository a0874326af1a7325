"""Fits how a reward model's value and its likelihood go together, on validation problems.

    python training/calibrate_prm.py training/out-prm/prm --data problems/problems.jsonl=run1 --out training/out-prm/likelihood.json

A step's score is sigmoid(valueWeight * (logit Yes - logit No) + weight * C + bias): C is the log-likelihood
of the solution up to the step by the model's own language head, markers left out. The three numbers
are a logistic regression on the soft labels of validation problems (2 % by the problem's id, which
train_prm.py trains nothing on). The regression asks for calibration alone; selection within a problem may
want more likelihood (`--weight`), and then the other two follow. Labels are Monte Carlo values; the only truth in them is the final answer.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from prm_data import PathEncoder, PathSet, pack, read_run, split_of, spoken_places
from prm_metrics import calibration_error, logistic_loss, within_problem_auc
from prm_model import Readout, build_prm, hidden_states, picture_features


@torch.no_grad()
def read_paths(model, readout, encoder, row, features):
    """Of one problem's paths: (value logits, log-likelihoods up to it) at every marker, path by path."""
    batch = pack([row], encoder)
    hidden = hidden_states(model, batch, features)
    values = readout.step_logits(model, hidden, batch)
    places, _ = spoken_places([row], encoder, marked=True)
    logits = model.lm_head(hidden[places[:, 0], places[:, 1]]).log_softmax(-1)
    likely = logits.gather(1, places[:, 2:])[:, 0].double()
    out, at, mark = [], 0, 0
    for ids, marks, *_ in row.paths:
        # Before marker m there are marks[m] tokens, m of them markers.
        sums = likely[at : at + len(ids) - len(marks)].cumsum(0)
        ends = torch.tensor([place - m - 1 for m, place in enumerate(marks)])
        out.append((values[mark : mark + len(marks)].double(), sums[ends]))
        at += len(ids) - len(marks)
        mark += len(marks)
    return out


def fit(values, sums, labels, weights, fixed=None, ridge=1e-3):
    """Weighted logistic regression of soft labels; [valueWeight, weight, bias]. A `fixed` weight stays."""
    x = torch.stack([values, sums, torch.ones_like(values)], 1)
    theta = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    known = torch.tensor([0.0, fixed or 0.0, 0.0], dtype=torch.float64)
    free = torch.tensor([1.0, float(fixed is None), 1.0], dtype=torch.float64)
    optimiser = torch.optim.LBFGS([theta], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        each = F.binary_cross_entropy_with_logits(x @ (theta * free + known), labels, reduction="none")
        loss = (each * weights).sum() / weights.sum() + ridge * (theta[:2] ** 2).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return theta.detach() * free + known


def report(name, problems, score):
    flat = [s for paths in problems for path in paths for s in score(path).tolist()]
    labels = [label for paths in problems for path in paths for label in path["labels"]]
    last = [([float(score(p)[-1]) for p in paths], [p["outcome"] for p in paths]) for paths in problems]
    facts = {"loss": logistic_loss(flat, labels), "calibration": calibration_error(flat, labels),
             "within-problem AUC, last": within_problem_auc(last)}
    print(json.dumps({"score": name, **{k: round(float(v), 4) for k, v in facts.items()}}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", nargs="+", required=True, metavar="PROBLEMS=RUN")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--weight", type=float, default=None,
                        help="the likelihood's weight, where selection wants more of it than the regression gives")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = build_prm(args.model, 0).eval()
    tokenizer = Tokenizer.from_file(f"{args.model}/tokenizer.json")
    encoder, readout = PathEncoder(tokenizer), Readout(tokenizer)
    chosen = [p for pair in args.data for p in read_run(*pair.split("=")) if split_of(p.id) == "validation"]
    data = PathSet(chosen, encoder)
    problems = []
    for index, (problem, _, paths) in enumerate(data.problems):
        row = data.row(index, len(paths), None)
        features = picture_features(model, [problem.image]).float()
        read = read_paths(model, readout, encoder, row, features)
        problems.append([
            {"values": v, "sums": c, "labels": path[2], "weights": path[3], "outcome": path[4]}
            for (v, c), path in zip(read, paths)
        ])
    paths = [path for each in problems for path in each]
    column = lambda key: torch.tensor(np.concatenate([np.asarray(path[key], float) for path in paths]))
    a, w, b = fit(column("values"), column("sums"), column("labels"), column("weights"), args.weight).tolist()
    report("value alone", problems, lambda p: p["values"].sigmoid())
    report("likelihood alone", problems, lambda p: p["sums"].exp())
    report("both", problems, lambda p: (a * p["values"] + w * p["sums"] + b).sigmoid())
    facts = {"weight": round(w, 4), "valueWeight": round(a, 4), "bias": round(b, 4)}
    args.out.write_text(json.dumps(facts) + "\n")
    print(json.dumps({"problems": len(problems), **facts}))


if __name__ == "__main__":
    main()
