"""Reads what `steptree label` made and turns it into training paths of a process reward model.

The only truth in here is the final answer: a state's label is the share of its Monte Carlo rollouts
that reach it, a path's outcome is whether the path itself does. Nothing of figmath's generator is read.
"""

import hashlib
import json
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from figmath_tokenizer import chat_prompt_tail

MARKER, POSITIVE, NEGATIVE = "<prm>", "Yes", "No"
SEPARATOR = "\n\n"
NAMED = re.compile(r"[A-Za-z]+=\d+")
CALCULATION = re.compile(r"(\d+)([-+*])(\d+)=(\d+)")
# A label from more rollouts weighs no more; a last step's label, which is certain, weighs as much.
MOST_GRADED = 8


@dataclass
class SolutionPath:
    """A whole solution: `right[t]` of `graded[t]` rollouts from the prefix of t + 1 steps succeed.
    The path's own outcome is one of those rollouts; the last step has no other."""

    steps: tuple
    outcome: int
    right: list = field(default_factory=list)
    graded: list = field(default_factory=list)


@dataclass
class LabelledProblem:
    id: str
    question: str
    image: Path
    family: str
    paths: list


def split_of(problem_id):
    """Fixed share of the problems by their id: 2 % validation, 2 % meta (domain weights), the rest train."""
    percent = int(hashlib.sha256(problem_id.encode()).hexdigest(), 16) % 100
    return "validation" if percent < 2 else "meta" if percent < 4 else "train"


def read_run(problems_file, run_folder, rollout_paths=True, pool=True, skip=frozenset()):
    """Labelled problems of a (perhaps unfinished) run, in the order of its problem file.

    With `rollout_paths` every rollout whose text the tree holds is a path too, not only the tree's
    own branches.
    """
    problems_file, run_folder = Path(problems_file), Path(run_folder)
    for line in problems_file.read_text().splitlines():
        problem = json.loads(line)
        if problem["id"] in skip:
            continue
        tree_file = run_folder / "trees" / f"{problem['id']}.json"
        try:
            tree = json.loads(tree_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            continue  # not labelled yet
        paths = tree_paths(tree, rollout_paths, pool)
        if paths:
            image = problems_file.parent / problem["image"]
            family = problem.get("metadata", {}).get("family", "")
            yield LabelledProblem(problem["id"], problem["question"], image, family, paths)


def tree_paths(tree, rollout_paths=True, pool=True):
    """Distinct whole solutions of a tree with the rollout counts of their prefixes. With `pool`,
    prefixes that state the same facts in other words or another order share their rollouts."""
    outcomes, counts = {}, {}

    def visit(node, prefix):
        steps = prefix + split_steps(node.get("partial_solution", []))
        graded = node["counts"]["graded"]
        if graded and steps:
            counts[steps] = (node["counts"]["correct"], graded)
        if rollout_paths or not steps:
            for name, outcome in (("correct_rollouts", 1), ("incorrect_rollouts", 0)):
                for rollout in node[name]:
                    whole = steps + split_steps(rollout)
                    if len(whole) > len(steps):
                        outcomes[whole] = outcome
        if steps and not node["children"] and not graded and is_final(steps):
            outcomes[steps] = int(node["mc_value"] >= 0.5)
        for child in node["children"]:
            visit(child, steps)

    visit(tree, ())
    # Every known whole path is one more rollout of each of its prefixes.
    for steps, outcome in outcomes.items():
        for length in range(1, len(steps)):
            right, graded = counts.get(steps[:length], (0, 0))
            counts[steps[:length]] = (right + outcome, graded + 1)
    if pool:
        counts = pool_equivalent(counts)
    paths = []
    for steps, outcome in outcomes.items():
        seen = [counts[steps[:length]] for length in range(1, len(steps))] + [(outcome, 1)]
        paths.append(SolutionPath(steps, outcome, [r for r, _ in seen], [g for _, g in seen]))
    return paths


def facts(step):
    """What a step states, without its wording: values that it names, calculations with sums and
    products in one order; a step without either is its own text."""
    found = NAMED.findall(step)
    for left, operator, right, result in CALCULATION.findall(step):
        if operator != "-" and int(left) > int(right):
            left, right = right, left
        found.append(f"{left}{operator}{right}={result}")
    return found or [step]


def pool_equivalent(counts):
    """Sums the counts of prefixes with the same facts: three times the rollouts for a state of 8 samples."""
    keys, totals = {}, {}
    for steps, (right, graded) in counts.items():
        keys[steps] = key = tuple(sorted(fact for step in steps for fact in facts(step)))
        known = totals.get(key, (0, 0))
        totals[key] = (known[0] + right, known[1] + graded)
    return {steps: totals[key] for steps, key in keys.items()}


def split_steps(parts):
    """A segment of a tree may hold several steps in one text."""
    return tuple(step for part in parts for step in part.split(SEPARATOR) if step)


def is_final(steps):
    return steps[-1].startswith("Answer:")


class PathEncoder:
    """Token ids of a prompt and of a path whose every step ends with the marker."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.marker = tokenizer.token_to_id(MARKER)
        self.separator = self.ids(SEPARATOR)[0]
        self.end = tokenizer.token_to_id("<|im_end|>")
        self.before_image = self.ids("<|im_start|>user\n")
        self.known = {}
        # Digits and names with their equals sign are what can be wrong; wording would drown them.
        pieces = tokenizer.get_vocab()
        self.worth = torch.full((tokenizer.get_vocab_size(),), 0.2)
        for piece, number in pieces.items():
            if piece.isdigit() or piece.endswith("=") or piece in ("+", "-", "*"):
                self.worth[number] = 1.0

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def prompt(self, question):
        """What follows the picture's tokens."""
        return self.ids(chat_prompt_tail(question))

    def step(self, step):
        if step not in self.known:
            self.known[step] = self.ids(step.replace(MARKER, ""))
        return self.known[step]

    def path(self, steps):
        """(ids, index of each step's marker): `step<prm>\\n\\nstep<prm>`"""
        ids, marks = [], []
        for index, step in enumerate(steps):
            ids += ([self.separator] if index else []) + self.step(step) + [self.marker]
            marks.append(len(ids) - 1)
        return ids, marks


@dataclass
class Row:
    """One problem with some of its paths in one sequence: picture and question once, then the paths,
    which do not see one another (`segments`)."""

    problem: int
    prompt: list
    paths: list  # (ids, marks, labels, weights, outcome); with a sixth entry, language loss from there on


def pack(rows, encoder, image_tokens=64):
    """Tensors of a batch of rows. Tokens are placed [before, picture, prompt, path 1, path 2, ...].

    tokens, positions, segments int64 [rows, width]: segment 0 is the shared prompt, -1 padding.
    marks int64 [n, 2] (row, column) with labels, weights float [n], `owner` [n] = the path's number in
    the batch; written int64 [m, 3]: (row, column before, token) of right paths, for the language loss;
    every int64 [k, 2] with every_labels [k]: all tokens between markers and the label of their step.
    """
    shared = [len(encoder.before_image) + image_tokens + len(row.prompt) for row in rows]
    width = max(s + sum(len(path[0]) for path in row.paths) for s, row in zip(shared, rows))
    tokens = np.zeros((len(rows), width), np.int64)
    positions = np.zeros((len(rows), width), np.int64)
    segments = np.full((len(rows), width), -1, np.int64)
    marks, labels, weights, owner, written, outcomes = [], [], [], [], [], []
    every, every_labels = [], []
    for r, row in enumerate(rows):
        begin = len(encoder.before_image)
        tokens[r, :begin] = encoder.before_image
        tokens[r, begin + image_tokens : shared[r]] = row.prompt
        positions[r, : shared[r]] = np.arange(shared[r])
        segments[r, : shared[r]] = 0
        at = shared[r]
        for number, (ids, places, path_labels, path_weights, outcome, *spoken) in enumerate(row.paths):
            end = at + len(ids)
            tokens[r, at:end] = ids
            positions[r, at:end] = np.arange(shared[r], shared[r] + len(ids))
            segments[r, at:end] = number + 1
            marks += [(r, at + place) for place in places]
            labels += path_labels
            weights += path_weights
            owner += [len(outcomes)] * len(places)
            step = 0
            for place in range(len(ids)) if places else ():
                if place == places[step]:
                    step += 1
                else:
                    every.append((r, at + place))
                    every_labels.append(path_labels[step])
            outcomes.append(outcome)
            if spoken:
                written += [(r, at + c - 1, ids[c]) for c in range(spoken[0], len(ids))]
            elif outcome == 1:
                # From the prompt's last token, which predicts the first, to the one before the last.
                columns = [shared[r] - 1, *range(at, end - 1)]
                written += [(r, c, t) for c, t in zip(columns, ids) if t != encoder.marker]
            at = end
    return {
        "tokens": torch.from_numpy(tokens),
        "positions": torch.from_numpy(positions),
        "segments": torch.from_numpy(segments),
        "marks": torch.tensor(marks),
        "labels": torch.tensor(labels, dtype=torch.float32),
        "weights": torch.tensor(weights, dtype=torch.float32),
        "owner": torch.tensor(owner),
        "outcomes": torch.tensor(outcomes, dtype=torch.float32),
        "written": torch.tensor(written, dtype=torch.int64).reshape(-1, 3),
        "worth": encoder.worth,
        "rows": rows,
        "every": torch.tensor(every),
        "every_labels": torch.tensor(every_labels, dtype=torch.float32),
    }


def spoken_places(rows, encoder, marked):
    """Where every written token is predicted, right path or wrong: int64 [m, 3] as `written` in `pack`,
    and the batch that it points into. Without `marked` the markers are cut out of the paths; the
    tokens are the same and in the same order, so the two results go together line by line."""
    changed = []
    for row in rows:
        paths = []
        for ids, marks, *_ in row.paths:
            kept = np.asarray(ids) if marked else np.asarray([t for t in ids if t != encoder.marker])
            paths.append((kept, [], [], [], 1))
        changed.append(Row(row.problem, row.prompt, paths))
    batch = pack(changed, encoder)
    return batch["written"], batch


class PathSet:
    """Labelled problems ready for batches. `label` and `weight_power` as in train_prm.py's options."""

    def __init__(self, problems, encoder, label="soft", weight_power=0.5):
        self.encoder, self.label, self.weight_power = encoder, label, weight_power
        self.problems = []
        self.add(problems)

    def add(self, problems):
        for problem in problems:
            prompt = self.encoder.prompt(problem.question)
            paths = [self.encode(path) for path in problem.paths]
            self.problems.append((problem, prompt, paths))

    def __len__(self):
        return len(self.problems)

    def encode(self, path):
        ids, marks = self.encoder.path(path.steps)
        shares = [r / g for r, g in zip(path.right, path.graded)]
        if self.label == "hard":
            shares = [float(share > 0) for share in shares]  # Math-Shepherd's hard estimate
        graded = [min(g, MOST_GRADED) for g in path.graded[:-1]] + [MOST_GRADED]
        weights = [g**self.weight_power for g in graded]
        return np.asarray(ids, np.int16), marks, shares, weights, path.outcome

    def row(self, index, most, random_source):
        _, prompt, paths = self.problems[index]
        chosen = random_source.sample(paths, most) if len(paths) > most else paths
        return Row(index, prompt, chosen)

    def batches(self, rows, most, seed):
        """Endless (row indices, batch); an epoch sees every problem once, with `most` of its paths.
        Rows of similar length share a batch."""
        source = random.Random(seed)
        while True:
            order = list(range(len(self)))
            source.shuffle(order)
            for start in range(0, len(order) - rows * 8 + 1, rows * 8):
                group = [self.row(i, most, source) for i in order[start : start + rows * 8]]
                group.sort(key=lambda row: sum(len(path[0]) for path in row.paths))
                parts = [group[i : i + rows] for i in range(0, len(group), rows)]
                source.shuffle(parts)
                for part in parts:
                    yield [row.problem for row in part], pack(part, self.encoder)
