"""Reads what `src/figmath/export-training.ts` writes and turns it into batches."""

import json
import mmap
import random
import re
from pathlib import Path

import numpy as np
import torch

from figmath_tokenizer import chat_segment

CALCULATION = re.compile(r"\d+[-+*]\d+=(\d+)")
READ_VALUE = re.compile(r"[a-zA-Z]=(\d+)")
NAMED_VALUE = re.compile(r"([a-zA-Z]+=\d+)")


# (pattern, group, loss weight): operands, names and groups, then results and values.
WORTH = (
    (re.compile(r"\d"), 0, 1.0),
    (re.compile(r"[a-zA-Z]+="), 0, 1.0),
    (CALCULATION, 1, 2.0),
    (READ_VALUE, 1, 2.0),
)


# Bars, table, shapes, counts: the order in which the generator takes turns.
FAMILY_WEIGHTS = (1, 1, 1, 1)


class FigmathData:
    """One exported split. Pixels and labels stay memory-mapped; texts are parsed on use."""

    def __init__(self, folder):
        folder = Path(folder)
        self.meta = json.loads((folder / "meta.json").read_text())
        side, patches = self.meta["figureSide"], self.meta["patchCount"]
        self.pixels = np.memmap(folder / "pixels.u8", np.uint8, "r").reshape(-1, side, side)
        self.labels = np.memmap(folder / "labels.u8", np.uint8, "r").reshape(-1, 4, patches)
        self.file = open(folder / "problems.jsonl", "rb")
        self.text = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        newline = np.frombuffer(self.text, np.uint8) == 10
        ends = np.flatnonzero(newline)
        self.starts = np.concatenate([[0], ends[:-1] + 1])
        self.ends = ends
        rgb = torch.tensor(self.meta["palette"], dtype=torch.float32)
        self.palette = (rgb / 255 - 0.5) / 0.5  # as preprocessor_config.json says

    def __len__(self):
        return len(self.starts)

    def problem(self, index):
        return json.loads(self.text[self.starts[index] : self.ends[index]])

    def pixel_values(self, indices):
        """float32 [n, 3, side, side]"""
        chosen = torch.from_numpy(self.pixels[np.asarray(indices)].astype(np.int64))
        return self.palette[chosen].permute(0, 3, 1, 2).contiguous()

    def patch_labels(self, indices):
        """int64 [n, 4, patches]; 255 = no loss here"""
        return torch.from_numpy(self.labels[np.asarray(indices)].astype(np.int64))


class Batcher:
    """Endless random batches: images, labels and `questions` texts about each image.

    A text batch is (token ids, loss weights, attention mask), right-padded.
    """

    def __init__(self, data, tokenizer, seed):
        self.data, self.tokenizer = data, tokenizer
        self.random = random.Random(seed)
        self.assistant = tokenizer.token_to_id("<|im_start|>")
        self.pad = tokenizer.token_to_id("<|pad|>")
        self.recent = []  # calculation steps of recent solutions, for drills

    def indices(self, count):
        """Figures, a share of each family."""
        quarter = len(self.data) // 4
        families = self.random.choices((0, 1, 2, 3), FAMILY_WEIGHTS, k=count)
        return [4 * self.random.randrange(quarter) + family for family in families]

    def texts(self, indices, questions):
        rows = []
        for index in indices:
            asked = self.data.problem(index)["asked"]
            for item in self.random.sample(asked, min(questions, len(asked))):
                rows.append(self.weigh(chat_segment(item["question"], item["solution"])))
                self.recent += [s for s in item["solution"].split("\n\n") if CALCULATION.search(s)]
        return rows

    def drills(self, count):
        """Calculation steps of other problems in a row: more sums per token than a solution has.
        Only results bear loss, operands are noise."""
        if len(self.recent) < 500:
            return []
        rows = []
        for _ in range(count):
            text = chat_segment("", "\n\n".join(self.random.sample(self.recent, 8)))
            encoding = self.tokenizer.encode(text, add_special_tokens=False)
            rows.append((encoding.ids, self.result_weights(text, encoding)))
        self.recent = self.recent[-4000:]
        return rows

    def items(self, index):
        """Every (owner, sub-owner, value) that stands in a figure, from its patch labels."""
        owner, sub, tens, ones = self.data.labels[index].astype(int)
        there = (owner > 0) & (owner != 255)
        names, subs = self.data.meta["ownerNames"], self.data.meta["subOwnerNames"]
        found = {
            (names[o], subs[s], 10 * (t - 1) + n - 1)
            for o, s, t, n in zip(owner[there], sub[there], tens[there], ones[there])
        }
        ordered = sorted(found, key=lambda item: (names.index(item[0]), subs.index(item[1])))
        # As solutions do: half in the figure's order, else backwards or in any order.
        if self.random.random() < 0.5:
            return ordered
        return ordered[::-1] if self.random.random() < 0.5 else self.random.sample(ordered, len(ordered))

    def reading_drill(self, index):
        """All values of a figure, each once, in solution style: three to four times the look-ups of a
        solution. Names and values bear loss."""
        items = self.items(index)
        if items[0][1]:
            # Counted objects are named by what differs: all of one shape, or all of one colour.
            by_colour = len({sub for _, sub, _ in items}) == 1 and len(items) > 1
            items = [(owner if by_colour else f"{sub}s", "", value) for owner, sub, value in items]
        line = ", ".join(f"{name}={value}" for name, _, value in items)
        text = chat_segment("", f"{line}.")
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, self.result_weights(text, encoding, NAMED_VALUE)

    @staticmethod
    def result_weights(text, encoding, pattern=CALCULATION):
        wanted = np.zeros(len(text) + 1, bool)
        for match in pattern.finditer(text):
            wanted[match.start(1) : match.end(1) + 1] = True
        return [1.0 if wanted[start] else 0.0 for start, _ in encoding.offsets]

    def weigh(self, text):
        """Loss on the assistant's tokens: most on what is read or computed, least on free wording,
        whose entropy would drown the rest in gradient noise."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        worth = np.full(len(text) + 1, 0.3)
        for pattern, group, weight in WORTH:
            for match in pattern.finditer(text):
                worth[match.start(group) : match.end(group)] = weight
        begin = encoding.ids.index(self.assistant) + 3  # <|im_start|> assistant \n
        # A token with a space before it is judged by its last character.
        weights = [
            0.0 if i < begin else float(worth[max(start, end - 1)])
            for i, (start, end) in enumerate(encoding.offsets)
        ]
        return encoding.ids, weights

    def pack(self, rows):
        longest = max(len(ids) for ids, _ in rows)
        tokens = torch.full((len(rows), longest), self.pad)
        weights = torch.zeros(len(rows), longest)
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for row, (ids, row_weights) in enumerate(rows):
            tokens[row, : len(ids)] = torch.tensor(ids)
            weights[row, : len(ids)] = torch.tensor(row_weights)
            mask[row, : len(ids)] = 1
        return tokens, weights, mask
