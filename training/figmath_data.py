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
        # Classes per plane: owner names, sub-owner names, blank + ten digits twice.
        self.classes = [len(self.meta["ownerNames"]), len(self.meta["subOwnerNames"]), 11, 11]

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
        return [self.random.randrange(len(self.data)) for _ in range(count)]

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

    @staticmethod
    def result_weights(text, encoding):
        wanted = np.zeros(len(text) + 1, bool)
        for match in CALCULATION.finditer(text):
            wanted[match.start(1) : match.end(1) + 1] = True
        return [1.0 if wanted[start] else 0.0 for start, _ in encoding.offsets]

    def weigh(self, text):
        """Loss on the assistant's tokens; twice on digits that were read or computed."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        digits = np.zeros(len(text) + 1, bool)
        for pattern in (CALCULATION, READ_VALUE):
            for match in pattern.finditer(text):
                digits[match.start(1) : match.end(1)] = True
        begin = encoding.ids.index(self.assistant) + 3  # <|im_start|> assistant \n
        weights = [
            0.0 if i < begin else 2.0 if digits[start] else 1.0
            for i, (start, _) in enumerate(encoding.offsets)
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
