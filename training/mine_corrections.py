"""Corrections mined from labelled trees: (prefix, wrong step, right step).

A step is wrong where the Monte Carlo value falls to 0 (from a state with a value above 0) and the path
fails. Its correction is the next step of another path that succeeds from the same prefix, or from one
that states the same facts in other words. The generator's truth is not read.
"""

from collections import defaultdict
from dataclasses import dataclass

from prm_data import facts, is_final


@dataclass
class Correction:
    problem: str
    prefix: tuple
    wrong: str
    right: str


def key_of(steps):
    return tuple(sorted(fact for step in steps for fact in facts(step)))


def mine(problem, fewest=1):
    """Corrections of one LabelledProblem; a wrong step's state needs `fewest` graded rollouts."""
    successors = defaultdict(set)
    for path in problem.paths:
        if path.outcome:
            for t, step in enumerate(path.steps):
                successors[key_of(path.steps[:t])].add(step)
    found = {}
    for path in problem.paths:
        if path.outcome:
            continue
        for t, step in enumerate(path.steps):
            last = t == len(path.steps) - 1
            if path.right[t] > 0 or (path.graded[t] < fewest and not last):
                continue
            prefix = path.steps[:t]
            for right in sorted(successors.get(key_of(prefix), ())):
                if facts(right) != facts(step) and (last or not is_final((step,))):
                    found[prefix, step, right] = Correction(problem.id, prefix, step, right)
            break
    return list(found.values())
