"""MM-PRM's label pipeline, unchanged, on the simulated server.

    python mm_prm.py --peer DIR --problems FILE --url URL --judge URL --out DIR

DIR is a checkout's `data_pipeline`. What runs is its own script (run_omegaprm.py, later called
run_data_pipeline.py), its OmegaPRM and its LanguageModel; only `vllm.LLM` and the tokenizer are ours.
The simulated policy writes steps apart by blank lines; MM-PRM's model writes tags, so they are put
around them here. The judge is asked over the peer's own `openai` client.
"""

import argparse
import json
import os
import re
import runpy
import sys

from model import LLM, Connection, Meter, SamplingParams, Tokenizer, finish, read_problems
from stubs import stub

STEP = re.compile(r"<step>(.*?)</step>", re.DOTALL)


def translate(messages, given):
    text = messages[-1]["content"]
    question, _, steps = text.split("Question: ", 1)[1].partition("\nPrevious Steps:")
    prefix = "".join(step + "\n\n" for step in STEP.findall(steps))
    return [{"role": "user", "content": question}], prefix


def dress(text):
    steps = [step for step in text.split("\n\n") if step]
    return "".join(
        f"<answer>{step}</answer>" if step.startswith("Answer:") else f"<step>{step}</step>"
        for step in steps
    )


def main():
    parser = argparse.ArgumentParser()
    for name in ("peer", "problems", "url", "judge", "out"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    LLM.connection = Connection(args.url)
    LLM.translate = staticmethod(translate)
    LLM.dress = staticmethod(dress)
    stub(
        vllm={"LLM": LLM, "SamplingParams": SamplingParams},
        transformers={"AutoTokenizer": Tokenizer},
    )
    os.makedirs(os.path.join(args.out, "trees"), exist_ok=True)
    questions = os.path.join(args.out, "questions.json")
    with open(questions, "w", encoding="utf-8") as file:
        json.dump(
            [
                {
                    "id": problem["id"],
                    "question": problem["question"],
                    "correct_answer": problem["answer"],
                    "image_path": None,
                }
                for problem in read_problems(args.problems)
            ],
            file,
        )
    sys.path.insert(0, args.peer)
    import llm_utils  # noqa: F401  before the clock starts: imports are not what is measured
    import omegaprm  # noqa: F401

    names = ("run_omegaprm.py", "run_data_pipeline.py")
    script = next(
        path for path in (os.path.join(args.peer, name) for name in names) if os.path.exists(path)
    )
    sys.argv = [
        script,
        *("--input_file", questions),
        *("--output_dir", os.path.join(args.out, "trees")),
        *("--log_file", os.path.join(args.out, "log.txt")),
        *("--api_endpoint", args.judge),
    ]
    sys.stderr = open(os.devnull, "w")
    meter = Meter()
    runpy.run_path(script, run_name="__main__")
    finish(meter, policySeconds=LLM.connection.seconds, policyCalls=LLM.connection.calls)
    LLM.connection.close()


main()
