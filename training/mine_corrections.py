"""Corrections mined from labelled trees: (prefix, wrong step, right step).

A step is wrong where the Monte Carlo value falls to 0 (from a state with a value above 0) and the path
fails. Its correction is the next step of another path that succeeds from the same prefix, or from one
that states the same facts in other words: the step with the highest value after it, or one that is
hardly lower. The generator's truth is not read.
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


NEARLY = 0.1  # below the best value


def best_successors(problem):
    """{facts of a prefix: next steps of paths that succeed}, steps of the highest value alone. A path goes
    on with useless steps too and succeeds nevertheless: the value tells them from steps that help."""
    values = defaultdict(dict)
    for path in problem.paths:
        if path.outcome:
            for t, step in enumerate(path.steps):
                value = (path.right[t] + 1) / (path.graded[t] + 2)  # mean of its Beta posterior
                at = values[key_of(path.steps[:t])]
                at[step] = max(value, at.get(step, 0))
    return {key: sorted(s for s, v in steps.items() if v >= max(steps.values()) - NEARLY)
            for key, steps in values.items()}


def mine(problem, fewest=3):
    """Corrections of one LabelledProblem; a wrong step's state needs `fewest` graded rollouts: one that
    failed once is often right."""
    successors = best_successors(problem)
    found = {}
    for path in problem.paths:
        if path.outcome:
            continue
        for t, step in enumerate(path.steps):
            last = t == len(path.steps) - 1
            if path.right[t] > 0 or (path.graded[t] < fewest and not last):
                continue
            prefix = path.steps[:t]
            for right in successors.get(key_of(prefix), ()):
                if facts(right) != facts(step) and (last or not is_final((step,))):
                    found[prefix, step, right] = Correction(problem.id, prefix, step, right)
            break
    return list(found.values())
