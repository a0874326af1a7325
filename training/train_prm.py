"""Trains the process reward model from what `steptree label` made, with one command.

    python training/train_prm.py --data problems/problems.jsonl=run1 --out training/out-prm --export models/figmath-prm

Soft-label cross-entropy on the Yes and No logits at a `<prm>` marker after every step, as MM-PRM
(arXiv 2505.13427) has it; all paths of a problem share one forward pass, picture and question once.
Beside it the language loss on solutions that reached the right answer, as verifiers since Cobbe et al.
(arXiv 2110.14168, section 4) have it: a model that computes better than the policy sees where the
policy went wrong. The tower reads already and stays frozen.

Labels come from Monte Carlo rollouts alone. Validation problems (2 %, by the problem's id) decide
which checkpoint is kept.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from tokenizers import Tokenizer

from figmath_model import save_policy
from prm_data import PathEncoder, PathSet, Row, pack, read_run, split_of, spoken_places
from prm_metrics import (
    AGGREGATIONS, calibration_error, logistic_loss, mean_of, select, within_problem_auc,
)
from prm_model import Readout, build_prm, hidden_states, picture_features

ROOT = Path(__file__).resolve().parent.parent


def parse(description=__doc__):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="PROBLEMS=RUN",
                        help="problem file and the folder of its `steptree label` run")
    parser.add_argument("--out", required=True, help="checkpoints, feature caches and the trained folder")
    parser.add_argument("--policy", default=str(ROOT / "models/figmath-policy"), help="the start's weights")
    parser.add_argument("--start", default=None, help="go on from this trained folder instead")
    parser.add_argument("--extra-layers", type=int, default=2, help="identity layers on top of the policy's")
    parser.add_argument("--minutes", type=float, default=45, help="time limit")
    parser.add_argument("--patience", type=int, default=0, help="stop after so many checks without a better one; 0 is off")
    parser.add_argument("--check-minutes", type=float, default=2)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--rows", type=int, default=4, help="problems in a batch")
    parser.add_argument("--paths", type=int, default=5, help="paths of a problem in a batch, at most")
    parser.add_argument("--labels", choices=["soft", "hard"], default="soft",
                        help="soft: share of right rollouts; hard: 1 where any is right")
    parser.add_argument("--weight-power", type=float, default=0.5,
                        help="a label from n rollouts weighs n to this power; 0 is equal weights")
    parser.add_argument("--language-weight", type=float, default=0.5, help="of the language loss; 0 is off")
    parser.add_argument("--keep", default=None, metavar="FOLDER",
                        help="keep this model's next-token distribution on all paths (distillation): its likelihood of a\n"
                             "step is a second score, which training on labels alone wears away")
    parser.add_argument("--keep-weight", type=float, default=1.0, help="of that loss")
    parser.add_argument("--token-weight", type=float, default=0.5,
                        help="of the value loss at all other tokens (Cobbe et al.: token-level verifiers); 0 is off")
    parser.add_argument("--rank-weight", type=float, default=0.5,
                        help="of the loss that ranks right above wrong solutions of a problem; 0 is off")
    parser.add_argument("--no-rollout-paths", action="store_true",
                        help="train on the trees' branches only, not on rollouts that trees hold as text")
    parser.add_argument("--no-pool", action="store_true",
                        help="no sharing of rollouts between prefixes that state the same facts")
    parser.add_argument("--domain-weights", action="store_true",
                        help="learn a weight for every family (DreamPRM, arXiv 2505.20241, first-order)")
    parser.add_argument("--limit", type=int, default=0, help="training problems at most; 0 is all")
    parser.add_argument("--refresh-minutes", type=float, default=0,
                        help="look for newly labelled problems so often; 0 is never")
    parser.add_argument("--average", type=float, default=0.995, help="decay of the averaged weights")
    parser.add_argument("--processes", type=int, default=2, help="data-parallel processes of one thread each")
    parser.add_argument("--meet-every", type=int, default=8, help="steps after which the processes average their weights")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--export", default=None, help="ONNX folder to write in the end")
    return parser.parse_args()


def log(**facts):
    facts = {k: round(v, 4) if isinstance(v, float) else v for k, v in facts.items()}
    print(json.dumps(facts), flush=True)


class Pictures:
    """Cached features of a problem file's pictures, by problem id."""

    def __init__(self, folder):
        self.folder, self.files, self.places = Path(folder), [], {}

    def add(self, problems_file, model=None):
        """With a model, computes what the cache doesn't have."""
        problems_file = Path(problems_file)
        ids, pictures = [], []
        for line in problems_file.read_text().splitlines():
            problem = json.loads(line)
            ids.append(problem["id"])
            pictures.append(problems_file.parent / problem["image"])
        name = f"{ids[0]}-{len(ids)}.npy"
        if not (self.folder / name).exists():
            log(event="features", file=str(problems_file), pictures=len(pictures))
            part = self.folder / f"{name}.part"
            with open(part, "wb") as file:
                np.save(file, picture_features(model, pictures).numpy())
            part.rename(self.folder / name)
        self.files.append(np.load(self.folder / name, mmap_mode="r"))
        self.places |= {each: (len(self.files) - 1, i) for i, each in enumerate(ids)}

    def of(self, ids):
        """float32 [n, 64, hidden]"""
        rows = [self.files[file][row] for file, row in (self.places[each] for each in ids)]
        return torch.from_numpy(np.stack(rows)).float()


class Data:
    """Train, meta and validation sets over all runs; new trees are added by `refresh`."""

    def __init__(self, args, encoder):
        self.args, self.known = args, set()
        plain = dict(encoder=encoder, weight_power=args.weight_power)
        self.sets = {
            "train": PathSet([], label=args.labels, **plain),
            "meta": PathSet([], **plain),
            "validation": PathSet([], **plain),
        }
        self.refresh()

    def refresh(self):
        added = {"train": [], "meta": [], "validation": []}
        for pair in self.args.data:
            problems_file, run = pair.split("=")
            for problem in read_run(problems_file, run, not self.args.no_rollout_paths, not self.args.no_pool, self.known):
                added[split_of(problem.id)].append(problem)
                self.known.add(problem.id)
        if self.args.limit:
            added["train"] = added["train"][: max(0, self.args.limit - len(self.sets["train"]))]
        for name, problems in added.items():
            self.sets[name].add(problems)
        return {name: len(each) for name, each in self.sets.items()}


class DomainWeights:
    """DreamPRM's domain weights w_k = softplus(a_k) / mean_j softplus(a_j) for the families.

    DreamPRM differentiates the meta loss through an unrolled update. To first order that gradient is
    minus the product of the meta loss's and the family loss's gradients; here both are taken at the
    top layer only, as cosines. The meta loss is the squared error of
    sigmoid(mean over steps of logit(p)) against the outcome, on problems that train nothing else.
    """

    def __init__(self, families, rate=0.2):
        self.a = {family: math.log(math.e - 1) for family in families}  # softplus = 1
        self.rate = rate

    def weights(self):
        plus = {k: math.log1p(math.exp(a)) for k, a in self.a.items()}
        mean = sum(plus.values()) / len(plus)
        return {k: value / mean for k, value in plus.items()}

    def update(self, family_losses, meta_loss, parameters):
        def direction(loss):
            grads = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            flat = torch.cat([g.flatten() for g in grads if g is not None])
            return flat / (flat.norm() + 1e-12)

        meta = direction(meta_loss)
        for family, loss in family_losses.items():
            slope = 1 / (1 + math.exp(-self.a[family]))
            self.a[family] += self.rate * slope * float(direction(loss) @ meta)


def dream_loss(logits, batch):
    """Squared error of DreamPRM's aggregate, sigmoid(mean logit), against the outcomes."""
    count = len(batch["outcomes"])
    sums = torch.zeros(count).index_add(0, batch["owner"], logits)
    steps = torch.zeros(count).index_add(0, batch["owner"], torch.ones_like(logits))
    return ((sums / steps).sigmoid() - batch["outcomes"]).square().mean()


def rank_loss(logits, batch):
    """Every right solution of a problem against every wrong one by their last steps: logistic loss of
    the difference (PRM-BAS, arXiv 2504.10222, has such a term beside the value loss). The value loss
    alone learns first which problems are hard, and that selects nothing."""
    count = len(batch["outcomes"])
    last = torch.searchsorted(batch["owner"], torch.arange(count), right=True) - 1  # markers come in order
    row = batch["marks"][last, 0]
    ends, right = logits[last], batch["outcomes"] == 1
    pairs = (row[:, None] == row[None, :]) & right[:, None] & ~right[None, :]
    if not pairs.any():
        return logits.sum() * 0
    return F.softplus(ends[None, :] - ends[:, None])[pairs].mean()


class Trainer:
    def __init__(self, args, rank, world):
        torch.manual_seed(args.seed)
        torch.set_num_threads(1 if args.processes > 1 else int(os.environ.get("OMP_NUM_THREADS", 1)))
        torch.set_flush_denormal(True)
        self.args, self.rank, self.world = args, rank, world
        self.out = Path(args.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.tokenizer = Tokenizer.from_file(f"{args.policy}/tokenizer.json")
        self.encoder = PathEncoder(self.tokenizer)
        self.readout = Readout(self.tokenizer)
        self.model = build_prm(args.start or args.policy, 0 if args.start else args.extra_layers)
        self.kept = build_prm(args.keep, 0).eval().requires_grad_(False) if args.keep else None
        self.pictures = Pictures(self.out)
        if world > 1 and rank > 0:
            dist.barrier()  # the first rank fills the cache
        for pair in args.data:
            self.pictures.add(pair.split("=")[0], self.model)
        if world > 1 and rank == 0:
            dist.barrier()
        self.data = Data(args, self.encoder)
        if rank == 0:
            sizes = {name: [len(s), sum(len(p) for _, _, p in s.problems)] for name, s in self.data.sets.items()}
            parameters = sum(p.numel() for p in self.model.parameters())
            log(event="start", problems_paths=sizes, parameters=parameters, args=vars(args))
        train = self.data.sets["train"]
        self.domains = DomainWeights(sorted({p.family for p, _, _ in train.problems})) if args.domain_weights else None
        self.prepare_optimiser()
        self.best, self.since_best, self.steps, self.paths_seen = None, 0, 0, 0
        self.keep_last = False

    def prepare_optimiser(self):
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_("language_model" in name)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        wide = [p for p in self.parameters if p.ndim > 1]
        flat = [p for p in self.parameters if p.ndim <= 1]
        groups = [{"params": wide, "weight_decay": 0.02}, {"params": flat, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=self.args.learning_rate, betas=(0.9, 0.98), fused=True)
        self.averaged = [p.detach().clone() for p in self.parameters]

    def share(self):
        return min(1.0, (time.time() - self.began) / 60 / self.args.minutes)

    def hidden(self, indices, batch):
        features = self.pictures.of([self.data.sets["train"].problems[i][0].id for i in indices])
        return hidden_states(self.model, batch, features)

    def losses(self, indices, batch):
        hidden = self.hidden(indices, batch)
        logits = self.readout.step_logits(self.model, hidden, batch)
        each = F.binary_cross_entropy_with_logits(logits, batch["labels"], reduction="none") * batch["weights"]
        if self.domains:
            each = each * self.domain_factors(indices, batch, each)
        judged = each.sum() / batch["weights"].sum()
        total = judged
        if self.args.token_weight:
            each = self.readout.logits_at(self.model, hidden, batch["every"])
            total = total + self.args.token_weight * F.binary_cross_entropy_with_logits(each, batch["every_labels"])
        if self.args.rank_weight:
            total = total + self.args.rank_weight * rank_loss(logits, batch)
        language = judged.detach() * 0
        if self.args.language_weight:
            language = self.readout.language_loss(self.model, hidden, batch)
            total = total + self.args.language_weight * language
        if self.kept:
            language = self.keep_loss(hidden, indices, batch)
            total = total + self.args.keep_weight * language
        return total, judged, language

    def keep_loss(self, hidden, indices, batch):
        """KL divergence of the kept model's next-token distribution from this one's, at every written
        token; the kept model reads the paths without markers, which it never saw."""
        places, _ = spoken_places(batch["rows"], self.encoder, marked=True)
        plain, unmarked = spoken_places(batch["rows"], self.encoder, marked=False)
        features = self.pictures.of([self.data.sets["train"].problems[i][0].id for i in indices])
        with torch.no_grad():
            known = hidden_states(self.kept, unmarked, features)
            wanted = self.kept.lm_head(known[plain[:, 0], plain[:, 1]]).log_softmax(-1)
        own = self.model.lm_head(hidden[places[:, 0], places[:, 1]]).log_softmax(-1)
        each = F.kl_div(own, wanted, reduction="none", log_target=True).sum(-1)
        worth = batch["worth"][places[:, 2]]
        return (each * worth).sum() / worth.sum()

    def domain_factors(self, indices, batch, each):
        """The family's weight at every marker; now and then the weights learn first."""
        families = [self.data.sets["train"].problems[i][0].family for i in indices]
        at = np.array([families[row] for row in batch["marks"][:, 0].tolist()])
        if self.steps % 10 == 0:
            losses = {f: each[torch.from_numpy(at == f)].mean() for f in set(families)}
            top = list(self.model.model.language_model.layers[-1].parameters())
            self.domains.update(losses, self.meta_loss(), top)
        weights = self.domains.weights()
        return torch.tensor([weights[f] for f in at], dtype=torch.float32)

    def meta_loss(self):
        if not hasattr(self, "meta_batches"):
            self.meta_batches = self.data.sets["meta"].batches(2, self.args.paths, f"meta/{self.args.seed}")
        indices, batch = next(self.meta_batches)
        features = self.pictures.of([self.data.sets["meta"].problems[i][0].id for i in indices])
        hidden = hidden_states(self.model, batch, features)
        return dream_loss(self.readout.step_logits(self.model, hidden, batch), batch)

    def step(self, loss):
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        share = self.share()
        heat = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * share))
        for group in self.optimiser.param_groups:
            group["lr"] = self.args.learning_rate * heat * min(1, (self.steps + 1) / 100)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        decay = min(self.args.average, (self.steps + 1) / (self.steps + 10))
        torch._foreach_lerp_(self.averaged, [p.detach() for p in self.parameters], 1 - decay)
        self.steps += 1
        if self.world > 1 and self.steps % self.args.meet_every == 0:
            self.meet()
        return share

    @torch.no_grad()
    def meet(self):
        """Local SGD (arXiv 1805.09767): processes step alone and average their weights now and then,
        so that none waits for another's every step."""
        for tensors in (self.parameters, self.averaged):
            flat = torch.cat([t.flatten() for t in tensors])
            dist.all_reduce(flat)
            flat /= self.world
            at = 0
            for tensor in tensors:
                tensor.data.copy_(flat[at : at + tensor.numel()].view_as(tensor))
                at += tensor.numel()

    def swap_averaged(self):
        for parameter, averaged in zip(self.parameters, self.averaged):
            kept = parameter.detach().clone()
            parameter.data.copy_(averaged)
            averaged.copy_(kept)

    def run(self):
        self.began = time.time()
        last_check = last_refresh = self.began
        recent, epoch = [], 0
        batches = self.batches(epoch)
        while True:
            indices, batch = next(batches)
            total, judged, language = self.losses(indices, batch)
            share = self.step(total)
            recent.append((float(judged.detach()), float(language.detach())))
            self.paths_seen += len(batch["outcomes"]) * self.world
            if self.steps % 50 == 0 and self.rank == 0:
                log(step=self.steps, minutes=(time.time() - self.began) / 60, loss=float(np.nanmean([a for a, _ in recent])),
                    language=float(np.mean([b for _, b in recent])), paths=self.paths_seen)
                recent = []
            # Every process must take the same turn here: the first one decides.
            if self.steps % self.args.meet_every == 0:
                flags = torch.zeros(2)
                if self.rank == 0:
                    flags[0] = float(share >= 1 or time.time() - last_check > 60 * self.args.check_minutes)
                    wait = 60 * self.args.refresh_minutes
                    flags[1] = float(wait > 0 and time.time() - last_refresh > wait)
                if self.world > 1:
                    dist.broadcast(flags, 0)
                if flags[1]:
                    sizes = self.data.refresh()
                    last_refresh, epoch = time.time(), epoch + 1
                    batches = self.batches(epoch)
                    if self.rank == 0:
                        log(event="refresh", **sizes)
                if flags[0]:
                    last_check = time.time()
                    stop = self.check()
                    if share >= 1 or stop:
                        return

    def batches(self, epoch):
        return self.data.sets["train"].batches(self.args.rows, self.args.paths, f"{self.args.seed}/{self.rank}/{epoch}")

    def check(self):
        """The first rank measures the averaged weights on validation problems and keeps the best."""
        stop = torch.zeros(1)
        if self.rank == 0:
            self.swap_averaged()
            result = validate(self.model, self.readout, self.data.sets["validation"], self.pictures, 150)
            fit = validate(self.model, self.readout, self.data.sets["train"], self.pictures, 50)
            log(event="check", step=self.steps, minutes=(time.time() - self.began) / 60, **result,
                train_auc_product=fit["auc/product"], train_loss=fit["loss"],
                **({"domains": {k: round(v, 3) for k, v in self.domains.weights().items()}} if self.domains else {}))
            if self.best is None or self.keep_last or result["loss"] < self.best:
                self.best, self.since_best = result["loss"], 0
                save_policy(self.model, self.tokenizer, self.out / "prm")
            else:
                self.since_best += 1
            self.swap_averaged()
            stop[0] = float(0 < self.args.patience <= self.since_best)
        if self.world > 1:
            dist.broadcast(stop, 0)
        return bool(stop[0])


@torch.no_grad()
def score_paths(model, readout, encoder, problems, features_of, rows=8):
    """Step scores of many paths. problems: (id, prompt ids, [encoded path]) each -> list (per problem)
    of lists (per path) of scores."""
    out = []
    for start in range(0, len(problems), rows):
        part = problems[start : start + rows]
        batch = pack([Row(i, prompt, paths) for i, (_, prompt, paths) in enumerate(part)], encoder)
        hidden = hidden_states(model, batch, features_of([each for each, _, _ in part]))
        scores = readout.step_logits(model, hidden, batch).sigmoid().tolist()
        at = 0
        for _, _, paths in part:
            out.append([])
            for path in paths:
                out[-1].append(scores[at : at + len(path[1])])
                at += len(path[1])
    return out


def validate(model, readout, data, pictures, count):
    """Loss and calibration against the Monte Carlo labels; AUC and selection by outcomes."""
    model.eval()
    chosen = data.problems[:: max(1, len(data) // count)][:count]
    problems = [(p.id, prompt, paths) for p, prompt, paths in chosen]
    scored = score_paths(model, readout, data.encoder, problems, pictures.of)
    flat = [s for paths in scored for path in paths for s in path]
    labels = [label for _, _, paths in problems for path in paths for label in path[2]]
    outcomes = [[path[4] for path in paths] for _, _, paths in problems]
    result = {"loss": logistic_loss(flat, labels), "calibration": calibration_error(flat, labels)}
    for name, aggregate in AGGREGATIONS.items():
        groups = [([aggregate(s) for s in paths], right) for paths, right in zip(scored, outcomes)]
        result[f"auc/{name}"] = within_problem_auc(groups)
    texts = [[path.steps for path in p.paths] for p, _, _ in chosen]
    result |= mean_of([select(t, s, o) for t, s, o in zip(texts, scored, outcomes)])
    model.train()
    return result


def launch(args, script=__file__):
    """The same command once per process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1",
                   "WORLD_SIZE": str(args.processes)}
    environment.setdefault("MASTER_PORT", "29541")
    processes = [
        subprocess.Popen([sys.executable, script, *sys.argv[1:]], env={**environment, "RANK": str(rank)})
        for rank in range(args.processes)
    ]
    if any([process.wait() for process in processes]):
        sys.exit("a process failed; its traceback is above")


def main(trainer=Trainer, args=None, script=__file__, export=("--check",)):
    args = args or parse()
    if args.processes > 1 and "RANK" not in os.environ:
        launch(args, script)
    else:
        rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if world > 1:
            dist.init_process_group("gloo")
        trainer(args, rank, world).run()
        if world > 1:
            return dist.destroy_process_group()
    if args.export:
        exporter = ROOT / "training/export_prm.py"
        subprocess.run([sys.executable, exporter, Path(args.out) / "prm", "--out", args.export, *export], check=True)


if __name__ == "__main__":
    main()
