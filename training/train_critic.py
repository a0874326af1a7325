"""Trains the critic: the reward model goes on with corrections mined from the same trees.

    python training/train_critic.py --data problems/problems.jsonl=run1 --start training/out-prm/prm \\
        --out training/out-critic --minutes 10 --export models/figmath-critic

Corrections (mine_corrections.py) are written as `step<prm>\\n\\nwrong step<prm>No\\n\\nright step\\n\\n`: after
a step that the model itself answers No to, it says the step that should stand there, as GM-PRM
(arXiv 2508.04088) does. Loss on the right step only. Every second batch is the reward model's own, so
that one model keeps doing both. All options are train_prm.py's.
"""

import random

from mine_corrections import mine
from prm_data import NEGATIVE, Row, pack
from train_prm import Trainer, log, main, parse

CORRECTIONS = 10  # of one problem in a batch, at most


class CriticTrainer(Trainer):
    def __init__(self, args, rank, world):
        super().__init__(args, rank, world)
        self.keep_last = True
        self.corrections = []
        train = self.data.sets["train"].problems
        for index, (problem, prompt, _) in enumerate(train):
            found = mine(problem)
            if found:
                self.corrections.append((index, prompt, found))
        if rank == 0:
            log(event="corrections", problems=len(self.corrections), count=sum(len(f) for _, _, f in self.corrections))

    def encode(self, correction):
        encoder = self.encoder
        ids, _ = encoder.path((*correction.prefix, correction.wrong))
        ids = [*ids, encoder.tokenizer.token_to_id(NEGATIVE), encoder.separator]
        begin = len(ids)
        return [*ids, *encoder.step(correction.right), encoder.separator], [], [], [], 0, begin

    def correction_batches(self, seed):
        source = random.Random(seed)
        while True:
            rows = []
            for index, prompt, found in source.sample(self.corrections, self.args.rows):
                chosen = source.sample(found, min(CORRECTIONS, len(found)))
                rows.append(Row(index, prompt, [self.encode(each) for each in chosen]))
            yield [row.problem for row in rows], pack(rows, self.encoder)

    def batches(self, epoch):
        own = super().batches(epoch)
        fixes = self.correction_batches(f"fix/{self.args.seed}/{self.rank}/{epoch}")
        while True:
            yield next(own)
            yield next(fixes)

    def losses(self, indices, batch):
        if len(batch["marks"]):
            return super().losses(indices, batch)
        hidden = self.hidden(indices, batch)
        language = self.readout.language_loss(self.model, hidden, batch)
        return language, language.detach() * float("nan"), language


if __name__ == "__main__":
    main(CriticTrainer, parse(__doc__), __file__, ("--check", "--critic"))
