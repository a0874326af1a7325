"""Trains the embedded figmath policy from nothing with one command.

    npm run build && python training/train_policy.py --out training/out

Data, tokenizer, then three stages. On a CPU the first two run side by side, one core each:

  vision    tower and projector learn what stands in each image patch (codebook targets)
  language  the language model learns to solve, looking facts up in the true codebook vectors
  joint     both together on pixels, two data-parallel processes, until held-out accuracy is in band

Every stage stops at its gate or at its time limit, and says in its log which it was.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from tokenizers import Tokenizer

import figmath_model as fm
from figmath_data import Batcher, FigmathData
from figmath_eval import evaluate
from figmath_tokenizer import save_tokenizer, train_tokenizer

ROOT = Path(__file__).resolve().parent.parent


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", default="training/out", help="data, checkpoints and the final folder")
    parser.add_argument("--stage", default="all", choices=["all", "vision", "language", "joint"])
    parser.add_argument("--figures", type=int, default=60000, help="training figures, 4 questions each")
    parser.add_argument("--seed", type=int, default=1, help="data and initialisation seed")
    parser.add_argument("--first-minutes", type=float, default=12, help="limit of vision and language")
    parser.add_argument("--joint-minutes", type=float, default=42, help="limit of the joint stage")
    parser.add_argument("--reading-gate", type=float, default=0.93, help="vision stops at this patch accuracy")
    parser.add_argument("--stop-greedy", type=float, default=0.64, help="joint stops at this held-out accuracy")
    parser.add_argument("--start", default=None, help="joint: continue from this checkpoint folder")
    parser.add_argument("--drill-share", type=float, default=0.5, help="joint: share of its time with drills")
    parser.add_argument("--resume", action="store_true", help="vision, language: go on from their last state")
    parser.add_argument("--learning-rate", type=float, default=None)
    return parser.parse_args()


def log(stage, **facts):
    facts = {k: round(v, 4) if isinstance(v, float) else v for k, v in facts.items()}
    print(json.dumps({"stage": stage, **facts}), flush=True)


def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_data(args):
    exporter = ROOT / "dist/src/figmath/export-training.js"
    for split, count, questions in (
        ("train", args.figures, 4),
        ("validation", 2000, 1),
        ("test", 2000, 1),
    ):
        folder = Path(args.out) / "data" / split
        if (folder / "meta.json").exists():
            continue
        subprocess.run(
            ["node", exporter, "--split", split, "--count", str(count), "--seed", str(args.seed),
             "--questions", str(questions), "--out", folder],
            check=True,
        )


def make_tokenizer(args):
    file = Path(args.out) / "tokenizer" / "tokenizer.json"
    if not file.exists():
        data = FigmathData(Path(args.out) / "data" / "train")
        texts = []
        for index in range(min(4000, len(data))):
            item = data.problem(index)["asked"][0]
            texts += [item["question"], item["solution"]]
        save_tokenizer(train_tokenizer(texts), file.parent)
    return Tokenizer.from_file(str(file))


class Stage:
    """Data, model, optimiser and clock of one training process."""

    def __init__(self, args, name, learning_rate, minutes, rank=0):
        torch.manual_seed(args.seed)
        self.name, self.rank, self.device = name, rank, device()
        if self.device.type == "cpu":
            torch.set_num_threads(1)
            torch.set_flush_denormal(True)
        self.out = Path(args.out)
        self.tokenizer = Tokenizer.from_file(str(self.out / "tokenizer/tokenizer.json"))
        self.data = FigmathData(self.out / "data/train")
        self.held_out = FigmathData(self.out / "data/validation")
        self.batcher = Batcher(self.data, self.tokenizer, f"{args.seed}/{name}/{rank}")
        self.model = fm.build_model(self.tokenizer).to(self.device)
        self.codebook = fm.Codebook(self.data.meta).to(self.device)
        fm.start_matching(self.model, self.tokenizer, self.codebook)
        self.minutes, self.learning_rate = minutes, args.learning_rate or learning_rate
        self.began = time.time()
        if args.resume and (self.out / f"{name}.pt").exists():
            self.model.load_state_dict(torch.load(self.out / f"{name}.pt"), strict=False)

    def optimise(self, parts, warmup=100):
        """`parts`: (module, share of the learning rate) each."""
        self.warmup, groups, seen = warmup, [], set()
        for part, heat in parts:
            fresh = [p for p in part.parameters() if p.requires_grad and id(p) not in seen]
            seen |= {id(p) for p in fresh}
            groups.append({"params": [p for p in fresh if p.ndim > 1], "heat": heat, "weight_decay": 0.02})
            groups.append({"params": [p for p in fresh if p.ndim <= 1], "heat": heat, "weight_decay": 0.0})
        self.parameters = [p for group in groups for p in group["params"]]
        self.optimiser = torch.optim.AdamW(groups, lr=self.learning_rate, betas=(0.9, 0.98), fused=True)

    def share(self):
        """Of the stage's time that is spent, 0 to 1."""
        return min(1.0, (time.time() - self.began) / 60 / self.minutes)

    def step(self, step, loss, floor=0.15):
        """@returns the share of the stage's time that is spent, equal on all ranks"""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        share = self.all_reduce() if dist.is_initialized() else self.share()
        heat = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * group["heat"] * heat * min(1, (step + 1) / self.warmup)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        return share

    def all_reduce(self):
        """Averages gradients; returns the averaged clock, for equal learning rates on all ranks."""
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        flat = torch.cat([*(g.flatten() for g in grads), grads[0].new_tensor([self.share()])])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        at = 0
        for parameter, grad in zip(self.parameters, grads):
            parameter.grad = flat[at : at + grad.numel()].view_as(grad)
            at += grad.numel()
        return float(flat[-1])

    @torch.no_grad()
    def reading(self, count=800):
        """Patch accuracy on held-out figures, by family."""
        right = {}
        for start in range(0, count, 200):
            chosen = list(range(start, start + 200))
            labels = self.held_out.patch_labels(chosen).to(self.device)
            features = fm.image_features(self.model, self.held_out.pixel_values(chosen).to(self.device))
            for i, value in zip(chosen, self.codebook.accuracy(features, labels).tolist()):
                right.setdefault(("bars", "table", "shapes", "counts")[i % 4], []).append(value)
        return {family: sum(v) / len(v) for family, v in right.items()}

    def save_part(self, prefixes):
        state = {k: v for k, v in self.model.state_dict().items() if k.startswith(prefixes)}
        torch.save(state, self.out / f"{self.name}.pt")


VISION = ("model.vision_tower", "model.multi_modal_projector")
LANGUAGE = ("model.language_model", "lm_head")


def train_vision(args):
    stage = Stage(args, "vision", 1.5e-3, args.first_minutes)
    stage.optimise([(stage.model.model.vision_tower, 1), (stage.model.model.multi_modal_projector, 1)])
    recent, step = 0.0, 0
    while True:
        chosen = stage.batcher.indices(32)
        features = fm.image_features(stage.model, stage.data.pixel_values(chosen).to(stage.device))
        loss = stage.codebook.loss(features, stage.data.patch_labels(chosen).to(stage.device))
        stage.step(step, loss)
        recent += loss.item() / 100
        step += 1
        if step % 100 == 0:
            reading = stage.reading() if step % 400 == 0 or stage.share() >= 1 else {}
            log("vision", step=step, minutes=(time.time() - stage.began) / 60, loss=recent, **reading)
            recent = 0.0
            if reading:
                stage.save_part(VISION)
                if min(reading.values()) >= args.reading_gate or stage.share() >= 1:
                    return


def train_language(args):
    stage = Stage(args, "language", 1e-3, args.first_minutes)
    stage.optimise([(stage.model.model.language_model, 1)])
    recent, step = 0.0, 0
    while stage.share() < 1:
        chosen = stage.batcher.indices(8)
        features = stage.codebook.embed(stage.data.patch_labels(chosen).to(stage.device))
        rows, pictures = texts_and_drills(stage, chosen, 2, *((4, 8) if stage.share() < 0.67 else (0, 0)))
        loss = text_loss(stage, features, rows, pictures)
        stage.step(step, loss)
        recent += loss.item() / 100
        step += 1
        if step % 100 == 0:
            log("language", step=step, minutes=(time.time() - stage.began) / 60, loss=recent)
            recent = 0.0
            stage.save_part(LANGUAGE)
    stage.save_part(LANGUAGE)


def train_joint(args):
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        dist.init_process_group("gloo")
    stage = Stage(args, "joint", 6e-4, args.joint_minutes, rank)
    if args.start:
        stage.model = type(stage.model).from_pretrained(args.start).to(stage.device)
    else:
        for part in ("vision", "language"):
            state = torch.load(stage.out / f"{part}.pt", map_location=stage.device)
            stage.model.load_state_dict(state, strict=False)
    stage.model.train()
    # The tower reads already; at the full rate it forgets faster than the auxiliary loss repairs.
    inner = stage.model.model
    stage.optimise([(inner.language_model, 1), (inner.vision_tower, 0.25), (inner.multi_modal_projector, 0.25)])
    images, questions = 10, 2
    recent, aux_recent, step = 0.0, 0.0, 0
    while True:
        chosen = stage.batcher.indices(images)
        features = fm.image_features(stage.model, stage.data.pixel_values(chosen).to(stage.device))
        auxiliary = stage.codebook.loss(features, stage.data.patch_labels(chosen).to(stage.device))
        rows, pictures = texts_and_drills(
            stage, chosen, questions, *((3, 10) if stage.share() < args.drill_share else (0, 0))
        )
        loss = text_loss(stage, features, rows, pictures)
        share = stage.step(step, loss + 0.3 * auxiliary)
        recent += loss.item() / 50
        aux_recent += auxiliary.item() / 50
        step += 1
        if step % 50 == 0 and rank == 0:
            log("joint", step=step, minutes=(time.time() - stage.began) / 60, loss=recent, auxiliary=aux_recent)
            recent = aux_recent = 0.0
        # The share is the ranks' average, so that all of them come to the check.
        if (step % 300 == 0 or share >= 1) and check(args, stage, step):
            break


def texts_and_drills(stage, chosen, questions, sums, readings):
    """Texts about each chosen picture; then drills of sums, which may stand behind any picture, and
    of readings, each behind its own."""
    rows = stage.batcher.texts(chosen, questions)
    pictures = [row // questions for row in range(len(rows))]
    extra = stage.batcher.drills(sums) if sums else []
    pictures += [row % len(chosen) for row in range(len(extra))]
    for row in range(min(readings, len(chosen))):
        extra.append(stage.batcher.reading_drill(chosen[row]))
        pictures.append(row)
    return rows + extra, pictures


def text_loss(stage, features, rows, pictures):
    """Loss of texts, each about one of the pictures; short and long texts apart to save padding."""
    prefix = fm.prefix_cache(stage.model, stage.tokenizer, features)
    order = sorted(range(len(rows)), key=lambda row: len(rows[row][0]))
    total, weight = 0.0, 0.0
    for part in (order[: len(order) // 2], order[len(order) // 2 :]):
        tokens, weights, mask = (t.to(stage.device) for t in stage.batcher.pack([rows[r] for r in part]))
        cache = fm.select_rows(prefix, torch.tensor([pictures[r] for r in part], device=stage.device))
        logits = fm.segment_logits(stage.model, cache, tokens, mask)
        share = weights[:, 1:].sum()
        total = total + fm.language_loss(logits, tokens, weights) * share
        weight = weight + share
    return total / weight


def check(args, stage, step):
    """Rank 0 measures and saves; all ranks learn whether to stop."""
    stop = torch.zeros(1)
    if stage.rank == 0:
        result = evaluate(stage.model, stage.tokenizer, stage.held_out, 240)
        for question, text, verdict in result.pop("examples")[:4]:
            log("example", question=question, text=text, verdict=verdict)
        log("check", step=step, minutes=(time.time() - stage.began) / 60, **result,
            patches=stage.reading(400))
        fm.save_policy(stage.model, stage.tokenizer, stage.out / "policy")
        stop[0] = float(result["greedy"] >= args.stop_greedy or stage.share() >= 1)
    if dist.is_initialized():
        dist.broadcast(stop, 0)
    return bool(stop[0])


def launch(stage, extra=None):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(extra or {})}
    arguments = [a for a in sys.argv[1:]]
    return subprocess.Popen([sys.executable, __file__, *arguments, "--stage", stage], env=environment)


def launch_ranks(script, processes, port):
    """The same command once per process of a data-parallel training."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1",
                   "WORLD_SIZE": str(processes)}
    environment.setdefault("MASTER_PORT", str(port))
    finish([
        subprocess.Popen([sys.executable, script, *sys.argv[1:]], env={**environment, "RANK": str(rank)})
        for rank in range(processes)
    ])


def finish(processes):
    if any([process.wait() for process in processes]):
        sys.exit("a stage failed; its traceback is above")


def main():
    args = parse()
    if args.stage == "vision":
        return train_vision(args)
    if args.stage == "language":
        return train_language(args)
    if args.stage == "joint":
        return train_joint(args)
    make_data(args)
    make_tokenizer(args)
    finish([launch("vision"), launch("language")])
    ranks = 1 if torch.cuda.is_available() else 2
    common = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29533"}
    finish([launch("joint", {**common, "RANK": str(rank)}) for rank in range(ranks)])


if __name__ == "__main__":
    main()
