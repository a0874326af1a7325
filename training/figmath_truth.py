"""Judges steps by what the generator knows (`figmath_truth.mjs`). For measuring only."""

import re
from itertools import combinations

from figmath_eval import NAMED_VALUE

CALCULATION = re.compile(r"(\d+)([-+*])(\d+)=(\d+)")
SENTENCE = re.compile(r"(?:Largest|largest)[^.]*")


def canonical(left, operator, right, result):
    """Sums and products in one order of their operands."""
    a, b, c = int(left), int(right), int(result)
    return (operator, *((a, b) if operator == "-" else sorted((a, b))), c)


def allowed_calculations(texts):
    """The calculations of the known wordings, and of a chain of sums every order of adding."""
    known = {canonical(*match) for text in texts for match in CALCULATION.findall(text)}
    sums = {c: (a, b) for operator, a, b, c in known if operator == "+"}
    used = {x for pair in sums.values() for x in pair}

    def leaves(value):
        return [leaf for x in sums[value] for leaf in leaves(x)] if value in sums else [value]

    for total in [c for c in sums if c not in used]:
        parts = leaves(total)
        places = range(len(parts))
        for size in range(1, len(parts)):
            for left in combinations(places, size):
                rest = [p for p in places if p not in left]
                for other in range(1, len(rest) + 1):
                    for right in combinations(rest, other):
                        a, b = sum(parts[p] for p in left), sum(parts[p] for p in right)
                        known.add(canonical(a, "+", b, a + b))
    return known


class StepTruth:
    def __init__(self, row):
        self.readings = row["readings"]
        self.answer = row["answer"]
        self.remarks = set(row["remarks"])
        self.calculations = allowed_calculations(row["calculations"])

    def step(self, text):
        """(right, kind): kind reading, arithmetic, answer or other; `right` None where nothing is said
        that the generator could judge."""
        if text.startswith("Answer:"):
            return text == f"Answer: {self.answer}", "answer"
        calculations = CALCULATION.findall(text)
        if calculations:
            return all(canonical(*each) in self.calculations for each in calculations), "arithmetic"
        said = NAMED_VALUE.findall(text)
        remark = SENTENCE.search(text)
        if remark:
            return remark.group(0).rstrip(".") in self.remarks, "reading"
        if said:
            return all(self.readings.get(name) == int(value) for name, value in said), "reading"
        return None, "other"

    def path(self, steps):
        """Per step (everything so far is right, kind); None from a step that can't be judged on."""
        out, so_far = [], True
        for step in steps:
            right, kind = self.step(step)
            so_far = None if so_far is None or right is None and so_far else so_far and bool(right)
            out.append((so_far, kind))
        return out
