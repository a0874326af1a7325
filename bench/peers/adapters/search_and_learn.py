"""search-and-learn's beam search, unchanged, on the simulated server.

    python search_and_learn.py --peer DIR --problems FILE --url URL --n 64 [--lookahead 1]

DIR is a checkout's `src`. What runs is `beam_search` with the peer's Config, called as its script's
`dataset.map(beam_search, batched=True, batch_size=1)` calls it: once per problem. `vllm.LLM` and the
reward model are ours. The reward model reads all texts of an iteration in one request.
"""

import argparse
import sys

from model import LLM, Connection, Meter, SamplingParams, Tokenizer, finish, pooling_body, read_problems
from stubs import stub


class SimulatedPRM:
    def __init__(self, connection):
        self.connection = connection

    def score(self, questions, outputs):
        texts = [
            pooling_body(question, output)
            for question, group in zip(questions, outputs, strict=True)
            for output in group
        ]
        [reply] = self.connection.post_all([("/pooling", {"batch": texts})])
        rows = iter(reply["data"])
        return [
            [[right for _, right in next(rows)["data"]] for _ in group] for group in outputs
        ]


def main():
    parser = argparse.ArgumentParser()
    for name in ("peer", "problems", "url"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--lookahead", type=int, default=None)
    args = parser.parse_args()
    LLM.connection = Connection(args.url)
    # The simulated policy finds its problem by the question and needs no system prompt.
    LLM.translate = staticmethod(
        lambda messages, given: ([m for m in messages if m["role"] == "user"], given)
    )
    stub(
        "torch",
        "datasets",
        "huggingface_hub",
        "sal.models",
        "sal.utils.math",
        "sal.utils.hub",
        "sal.utils.data",
        vllm={"LLM": LLM, "SamplingParams": SamplingParams},
        transformers={"AutoTokenizer": Tokenizer},
    )
    sys.path.insert(0, args.peer)
    from sal.config import Config
    from sal.search.beam_search import beam_search

    # recipes/Llama-3.2-1B-Instruct/beam_search.yaml, the published recipe, with another n.
    given = {"approach": "beam_search", "n": args.n, "search_batch_size": 1, "filter_duplicates": True}
    if args.lookahead is not None:
        given["lookahead"] = args.lookahead
    config = Config(**given)
    problems = read_problems(args.problems)
    policy, scorer = LLM(), Connection(args.url)
    prm = SimulatedPRM(scorer)
    sys.stderr = open("/dev/null", "w")
    meter = Meter()
    right = completions = 0
    for problem in problems:
        results = beam_search({"problem": [problem["question"]]}, config, policy, prm)
        right += f"Answer: {problem['answer']}" in results["pred"][0]
        completions += len(results["completions"][0])
    finish(
        meter,
        policySeconds=LLM.connection.seconds,
        policyCalls=LLM.connection.calls,
        scoreSeconds=scorer.seconds,
        scoreCalls=scorer.calls,
        right=right,
        completions=completions,
        lookahead=config.lookahead,
        beamWidth=config.beam_width,
        temperature=config.temperature,
        maxTokens=config.max_tokens,
    )
    LLM.connection.close()
    scorer.close()


main()
