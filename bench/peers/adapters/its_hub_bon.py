"""its_hub's best-of-N from PyPI, unchanged, on the simulated server.

    python its_hub_bon.py --problems FILE --url URL --n 16 --mode infer|gather

`infer`: one problem after the other, as its benchmarking/benchmark.py does. `gather`: all problems
at once by asyncio.gather with no limit of its own, the most that its interface allows. Its client
and its retries are its own; the reward model behind its abstract class is ours.
"""

import argparse
import asyncio

import aiohttp
from its_hub import BestOfN, OpenAICompatibleLanguageModel
from its_hub.api import AbstractOutcomeRewardModel
from its_hub.core.orchestrator import LMOrchestrator
from model import Meter, finish, pooling_body, read_problems


class SimulatedReward(AbstractOutcomeRewardModel):
    """The mean of the step scores, as ours takes it by default."""

    def __init__(self, url):
        self.url = url

    def score(self, messages, **kwargs):
        return asyncio.run(self.ascore(messages, **kwargs))

    async def ascore(self, messages, orchestrator=None, **kwargs):
        texts = [
            pooling_body(conversation[0].content, conversation[-1].content)
            for conversation in messages
        ]
        async with aiohttp.ClientSession() as session:
            async with session.post(self.url + "/pooling", json={"batch": texts}) as response:
                response.raise_for_status()
                reply = await response.json()
        return [
            sum(right for _, right in rows["data"]) / len(rows["data"]) for rows in reply["data"]
        ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--problems", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--mode", choices=["infer", "gather"], default="infer")
    args = parser.parse_args()
    problems = read_problems(args.problems)
    # The name keeps "openai" out of the endpoint, so that its vLLM dialect is spoken.
    model = OpenAICompatibleLanguageModel(
        endpoint=args.url + "/v1",
        api_key="none",
        model_name="simulated",
        temperature=1.0,
        max_completion_tokens=1024,
    )
    reward = SimulatedReward(args.url)
    meter = Meter()
    if args.mode == "infer":
        algorithm = BestOfN(reward)
        answers = [algorithm.infer(model, problem["question"], args.n) for problem in problems]
    else:
        algorithm = BestOfN(reward, orchestrator=LMOrchestrator(max_concurrency=-1))

        async def all_at_once():
            async with model:
                return await asyncio.gather(
                    *(algorithm.ainfer(model, problem["question"], args.n) for problem in problems)
                )

        answers = asyncio.run(all_at_once())
    right = sum(
        f"Answer: {problem['answer']}" in answer["content"]
        for problem, answer in zip(problems, answers, strict=True)
    )
    finish(meter, right=right)


main()
