"""Makes the reward model (and critic) from the policy, with one command.

    python training/make_prm.py --work training/out --out models/figmath-prm

Figures, Monte Carlo labels (`steptree label`), base, value, calibration, ONNX: the stages of README.md one
after the other, as the committed model was made. A stage leaves a folder or a file and is skipped where that
is there, so the command goes on after an interruption; labelling resumes by itself.

The whole takes about 4 hours of 2 CPU cores. `--scale 0.005` runs every stage for some seconds: the
result is worth nothing, but shows that all of them work here.
"""

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Stage:
    name: str
    command: list[str]


def steptree(*words) -> list[str]:
    return ["node", str(ROOT / "bin/steptree.js"), *map(str, words)]


def python(script, *words) -> list[str]:
    return [sys.executable, str(ROOT / "training" / script), *map(str, words)]


def labelling(work: Path, name: str, count: int, problem_seed: int, *method) -> list[Stage]:
    problems, run = work / f"problems-{name}", work / f"labels-{name}"
    return [
        Stage(f"problems-{name}", steptree(
            "figmath", "--split", "train", "--count", count, "--seed", problem_seed, "--out", problems)),
        Stage(f"labels-{name}", steptree(
            "label", problems / "problems.jsonl", "--out", run, "--max-tokens", 160, "--threads", 2, *method)),
    ]


def stages(work: Path, out: Path, scale: float) -> list[Stage]:
    count = max(round(16_000 * scale), 60)
    figures = max(round(60_000 * scale), 600)
    minutes = lambda whole: max(whole * scale, 0.2)
    data = [f"{work}/problems-{name}/problems.jsonl={work}/labels-{name}" for name in ("solutions", "trees")]
    base1, base2 = work / "base-1", work / "base-2"
    value1, value2, value3 = (work / f"value-{i}" for i in (1, 2, 3))
    moved, likelihood = work / "moved", work / "likelihood.json"

    def base(folder: Path, length: float, *more) -> Stage:
        return Stage(folder.name, python(
            "train_prm_base.py", "--out", work, "--base", folder, "--figures", figures, "--minutes", minutes(length),
            *more))

    def value(folder: Path, policy: Path, length: float, *more) -> Stage:
        return Stage(folder.name, python(
            "train_prm.py", "--data", *data, "--policy", policy, "--out", folder, "--minutes", minutes(length),
            "--paths", 7, *more))

    keep = lambda folder: ["--keep", folder, "--language-weight", 0, "--token-weight", 0.2]
    return [
        *labelling(work, "solutions", count, 101, "--method", "step-rollouts", "--num-solutions", 4, "--num-rollouts", 8,
                   "--adaptive", "--adaptive-step", 4, "--interval-width", 0.5, "--early-stop", "--seed", 5),
        *labelling(work, "trees", count, 202, "--method", "omegaprm", "--num-rollouts", 8, "--rollout-budget", 8,
                   "--max-search-count", 0, "--seed", 6),
        base(base1, 40),
        value(value1, base1, 40, "--extra-layers", 1, "--learning-rate", 6e-4, "--language-weight", 0.3),
        value(value2, base1, 34, "--start", value1 / "prm", *keep(base1), "--learning-rate", 5e-4, "--seed", 3),
        base(base2, 50, "--start", base1, "--learning-rate", 6e-4),
        Stage("moved", python(
            "move_base.py", value2 / "prm", "--before", base1, "--after", base2, "--out", moved)),
        value(value3, base2, 26, "--start", moved, *keep(base2), "--learning-rate", 4e-4, "--seed", 4),
        Stage("calibration", python(
            "calibrate_prm.py", value3 / "prm", "--data", *data, "--weight", 0.15, "--out", likelihood)),
        Stage("onnx", python(
            "export_prm.py", value3 / "prm", "--out", out, "--likelihood", likelihood, "--critic", "--blind", "--check")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("training/out"), help="folder of all intermediate results")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model; must not hold one yet")
    parser.add_argument("--scale", type=float, default=1.0, help="of problems, figures and minutes")
    args = parser.parse_args()
    if (args.out / "onnx").exists():
        parser.error(f"{args.out} holds a model already; move it away, or name another --out")
    done = args.work / "done"
    done.mkdir(parents=True, exist_ok=True)
    for stage in stages(args.work, args.out, args.scale):
        if (done / stage.name).exists():
            print(f"{stage.name}: done before", flush=True)
            continue
        print(f"{stage.name}: {' '.join(stage.command)}", flush=True)
        started = time.time()
        subprocess.run(stage.command, check=True)
        (done / stage.name).write_text(f"{time.time() - started:.0f} s\n")


if __name__ == "__main__":
    main()
