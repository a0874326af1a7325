"""Trains the reward model's base: the policy, deeper and trained on, with one command.

    python training/train_prm_base.py --out training/out --base training/out-base

A reward model usually starts from a stronger model than the policy it judges. Ours is the policy plus
identity layers, trained further on the policy's own kind of data (`train_policy.py`'s figures and
solutions of the train split) with the tower frozen, until it solves clearly more than the policy. It
sees no label of a step; those come later, from Monte Carlo rollouts alone (`train_prm.py`).

Two processes step alone and average their weights now and then (local SGD, arXiv 1805.09767).
"""

import argparse
import math
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from tokenizers import Tokenizer

import figmath_model as fm
from figmath_data import Batcher, FigmathData
from figmath_eval import evaluate
from prm_model import build_prm
from train_policy import ROOT, launch_ranks, log, make_data, text_loss, texts_and_drills


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", default="training/out", help="folder of train_policy.py's data (made if missing)")
    parser.add_argument("--base", required=True, help="folder to write the base to")
    parser.add_argument("--policy", default=str(ROOT / "models/figmath-policy"), help="the start's weights")
    parser.add_argument("--start", default=None, help="go on from this base instead")
    parser.add_argument("--figures", type=int, default=60000, help="training figures, 4 questions each")
    parser.add_argument("--seed", type=int, default=1, help="data and batch seed")
    parser.add_argument("--extra-layers", type=int, default=2, help="identity layers on top of the policy's")
    parser.add_argument("--minutes", type=float, default=40, help="time limit")
    parser.add_argument("--check-minutes", type=float, default=5)
    parser.add_argument("--learning-rate", type=float, default=8e-4)
    parser.add_argument("--pictures", type=int, default=8, help="figures in a batch, 4 questions each")
    parser.add_argument("--meet-every", type=int, default=8, help="steps between two averages of the weights")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    return parser.parse_args()


class Base:
    """Model, data and clock of one process. `text_loss` asks for `model`, `tokenizer`, `batcher`, `device`."""

    def __init__(self, args, rank):
        torch.manual_seed(args.seed)
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        self.args, self.rank, self.device = args, rank, torch.device("cpu")
        self.tokenizer = Tokenizer.from_file(f"{args.policy}/tokenizer.json")
        self.data = FigmathData(Path(args.out) / "data/train")
        self.held_out = FigmathData(Path(args.out) / "data/validation")
        self.batcher = Batcher(self.data, self.tokenizer, f"{args.seed}/base/{args.start}/{rank}")
        self.model = build_prm(args.start or args.policy, 0 if args.start else args.extra_layers)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_("language_model" in name)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        groups = [{"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": 0.02},
                  {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=args.learning_rate, betas=(0.9, 0.98), fused=True)

    def share(self):
        return min(1.0, (time.time() - self.began) / 60 / self.args.minutes)

    def step(self, step):
        chosen = self.batcher.indices(self.args.pictures)
        with torch.no_grad():
            features = fm.image_features(self.model, self.data.pixel_values(chosen))
        rows, pictures = texts_and_drills(self, chosen, 4, 0, 0)
        loss = text_loss(self, features, rows, pictures)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        heat = 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * self.share()))
        for group in self.optimiser.param_groups:
            group["lr"] = self.args.learning_rate * heat * min(1, (step + 1) / 100)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        return loss.item()

    @torch.no_grad()
    def meet(self):
        flat = torch.cat([p.flatten() for p in self.parameters])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        at = 0
        for parameter in self.parameters:
            parameter.copy_(flat[at : at + parameter.numel()].view_as(parameter))
            at += parameter.numel()

    def check(self, step):
        result = evaluate(self.model, self.tokenizer, self.held_out, 240)
        result.pop("examples")
        log("check", step=step, minutes=(time.time() - self.began) / 60, **result)
        fm.save_policy(self.model, self.tokenizer, self.args.base)

    def run(self):
        self.model.train()
        self.began = last_check = time.time()
        step, recent = 0, []
        while True:
            recent.append(self.step(step))
            step += 1
            if step % 50 == 0 and self.rank == 0:
                log("base", step=step, minutes=(time.time() - self.began) / 60, loss=sum(recent) / len(recent))
                recent = []
            if step % self.args.meet_every:
                continue
            # Every process must take the same turn here: the first one decides.
            turn = torch.zeros(2)
            if self.rank == 0:
                turn[0] = float(self.share() >= 1)
                turn[1] = float(turn[0] or time.time() - last_check > 60 * self.args.check_minutes)
            if dist.is_initialized():
                self.meet()
                dist.broadcast(turn, 0)
            if turn[1] and self.rank == 0:
                self.check(step)
                last_check = time.time()
            if turn[0]:
                return


def main():
    args = parse()
    if args.processes > 1 and "RANK" not in os.environ:
        make_data(args)
        return launch_ranks(__file__, args.processes, 29537)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        dist.init_process_group("gloo")
    Base(args, int(os.environ.get("RANK", 0))).run()


if __name__ == "__main__":
    main()
