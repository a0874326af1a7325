"""What a process reward model is worth: discrimination, calibration and selection."""

import math
import re
from collections import defaultdict

import numpy as np

ANSWER = re.compile(r"Answer: (-?\d+)")

# Aggregations of step scores into one of a solution (ALGORITHMS: Math-Shepherd's min, the last step's,
# Lightman's product, VisualPRM's and GM-PRM's mean).
AGGREGATIONS = {
    "min": lambda scores: float(np.min(scores)),
    "last": lambda scores: float(scores[-1]),
    "product": lambda scores: float(np.prod(scores)),
    "mean": lambda scores: float(np.mean(scores)),
}


def answer_of(steps):
    found = ANSWER.findall("\n".join(steps))
    return found[-1] if found else ""


def auc(positive, negative):
    """Chance that a positive's score exceeds a negative's; ties count half. None without both."""
    if len(positive) == 0 or len(negative) == 0:
        return None
    scores = np.concatenate([positive, negative])
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    values = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    ends = np.append(starts[1:], len(values))
    for start, end in zip(starts, ends):
        ranks[order[start:end]] = (start + end - 1) / 2 + 1
    wins = ranks[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2
    return float(wins / (len(positive) * len(negative)))


def within_problem_auc(groups):
    """Mean over problems of the AUC among one problem's candidates; groups: (scores, outcomes) each."""
    found = []
    for scores, outcomes in groups:
        scores, outcomes = np.asarray(scores), np.asarray(outcomes)
        value = auc(scores[outcomes == 1], scores[outcomes == 0])
        if value is not None:
            found.append(value)
    return float(np.mean(found)) if found else None


def calibration_error(scores, targets, bins=15):
    """Expected calibration error over equally wide bins; targets in [0, 1]."""
    scores, targets = np.asarray(scores), np.asarray(targets)
    index = np.minimum((scores * bins).astype(int), bins - 1)
    total = 0.0
    for b in range(bins):
        chosen = index == b
        if chosen.any():
            total += chosen.sum() * abs(scores[chosen].mean() - targets[chosen].mean())
    return float(total / len(scores))


def first_best(values):
    """Index of the largest; the first of equals."""
    return max(range(len(values)), key=lambda i: (values[i], -i))


def vote(answers, weights):
    """The answer with the largest sum of weights; of equals, the one that came first."""
    totals = defaultdict(float)
    for answer, weight in zip(answers, weights):
        if answer:
            totals[answer] += weight
    return max(totals, key=totals.get) if totals else ""


def select(candidates, scores, right):
    """Correctness (0 or 1) of each selection rule among the candidates (lists of steps) of a problem.

    Equal texts count once in best-of-N (the best of equals is the same text) and fully in votes.
    """
    answers = [answer_of(steps) for steps in candidates]
    truth = {answer: ok for answer, ok in zip(answers, right)}
    voted = vote(answers, [1.0] * len(answers))
    out = {
        "mean": float(np.mean(right)),
        "oracle": float(max(right)),
        "majority": float(truth.get(voted, 0)),
    }
    for name, aggregate in AGGREGATIONS.items():
        values = [aggregate(each) for each in scores]
        out[f"best/{name}"] = float(right[first_best(values)])
        out[f"weighted/{name}"] = float(truth.get(vote(answers, values), 0))
    return out


def bootstrap(values, seed=0, rounds=2000):
    """95 % interval of the mean of per-problem values."""
    values = np.asarray(values, float)
    source = np.random.default_rng(seed)
    means = values[source.integers(0, len(values), (rounds, len(values)))].mean(1)
    return [round(float(q), 4) for q in np.quantile(means, [0.025, 0.975])]


def mean_of(rows):
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def logistic_loss(scores, targets):
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    return float(np.mean([-t * math.log(s) - (1 - t) * math.log(1 - s) for s, t in zip(clipped, targets)]))
