"""What stands in for `vllm.LLM`, its tokenizer and a reward model: the simulated server.

`LLM.generate` puts all its prompts in flight at once and returns when all are done, as the real
engine does. Equal prompts travel as one request with `n`: the server decodes them as that many
sequences, and the peer is spared the HTTP of the others.
"""

import asyncio
import json
import resource
import time
from types import SimpleNamespace

import aiohttp

# Between the conversation and the text of the assistant's turn that is to be continued. A prompt
# stays a string, to which peers append text.
_CUT = "\x1e"


class Connection:
    """HTTP to the simulated server from code that is not asynchronous."""

    def __init__(self, url):
        self.url = url
        self.seconds = 0.0
        self.calls = 0
        self._loop = asyncio.new_event_loop()
        self._session = None

    def post_all(self, requests):
        """Sends all (path, body) pairs at once; returns the replies when all are there."""
        start = time.perf_counter()
        try:
            return self._loop.run_until_complete(self._post_all(requests))
        finally:
            self.seconds += time.perf_counter() - start
            self.calls += 1

    def close(self):
        if self._session is not None:
            self._loop.run_until_complete(self._session.close())

    async def _post_all(self, requests):
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return await asyncio.gather(*(self._post(path, body) for path, body in requests))

    async def _post(self, path, body):
        async with self._session.post(self.url + path, json=body) as response:
            response.raise_for_status()
            return await response.json()


class SamplingParams:
    def __init__(self, **kwargs):
        self.n = 1
        self.temperature = 1.0
        self.top_p = 1.0
        self.top_k = -1
        self.max_tokens = 16
        self.repetition_penalty = 1.0
        self.stop = None
        self.include_stop_str_in_output = False
        self.__dict__.update(kwargs)


class Tokenizer:
    """Keeps a conversation readable for `LLM.generate`; `chat_template` is taken and ignored."""

    all_special_tokens = ["<|im_start|>", "<|im_end|>"]
    chat_template = None

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        return cls()

    def convert_tokens_to_ids(self, token):
        return self.all_special_tokens.index(token)

    def apply_chat_template(self, conversations, **kwargs):
        if conversations and isinstance(conversations[0], dict):
            return self._render(conversations)
        return [self._render(conversation) for conversation in conversations]

    @staticmethod
    def _render(messages):
        *head, last = messages
        if last["role"] != "assistant":
            return json.dumps(messages) + _CUT
        return json.dumps(head) + _CUT + last["content"]


class LLM:
    """One per process, made by the peer's own code with whatever arguments it gives."""

    connection = None

    @staticmethod
    def translate(messages, given):
        """Hook of an adapter: conversation and prefix before they are sent."""
        return messages, given

    @staticmethod
    def dress(text):
        """Hook of an adapter: the form in which the peer's model writes."""
        return text

    def __init__(self, *args, **kwargs):
        self.tokenizer = Tokenizer()

    def get_tokenizer(self):
        return self.tokenizer

    def generate(self, inputs, sampling_params=None, use_tqdm=True):
        prompts = [item["prompt"] if isinstance(item, dict) else item for item in inputs]
        places = {}
        for place, prompt in enumerate(prompts):
            places.setdefault(prompt, []).append(place)
        bodies = [
            ("/v1/chat/completions", self._body(prompt, len(where), sampling_params))
            for prompt, where in places.items()
        ]
        outputs = [None] * len(prompts)
        replies = self.connection.post_all(bodies)
        for where, reply in zip(places.values(), replies, strict=True):
            for place, choice in zip(where, reply["choices"], strict=True):
                output = SimpleNamespace(
                    text=self.dress(choice["message"]["content"]),
                    stop_reason=choice["stop_reason"],
                    finish_reason=choice["finish_reason"],
                    token_ids=[],
                )
                outputs[place] = SimpleNamespace(outputs=[output])
        return outputs

    def _body(self, prompt, n, params):
        head, given = prompt.split(_CUT, 1)
        messages, given = self.translate(json.loads(head), given)
        body = {
            "model": "simulated",
            "messages": messages,
            "n": n,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "top_k": params.top_k,
            "repetition_penalty": params.repetition_penalty,
            "max_tokens": params.max_tokens,
            "include_stop_str_in_output": params.include_stop_str_in_output,
        }
        if params.stop:
            body["stop"] = params.stop
        if given:
            body["messages"] = [*messages, {"role": "assistant", "content": given}]
            body["continue_final_message"] = True
            body["add_generation_prompt"] = False
        return body


def pooling_body(question, text):
    """The request that a reward model of Qwen2.5-Math-PRM's form gets for one solution."""
    steps = [step.strip() for step in text.split("\n\n") if step.strip()]
    return {
        "messages": [
            {
                "role": "system",
                "content": "Please reason step by step, and put your final answer within \\boxed{}.",
            },
            {"role": "user", "content": question},
            {"role": "assistant", "content": "".join(step + "<extra_0>" for step in steps)},
        ]
    }


class Meter:
    """Wall and CPU seconds of this process (all threads) from its creation on."""

    def __init__(self):
        self.start = time.perf_counter()
        self.cpu = self._cpu()

    def read(self):
        return {
            "wallSeconds": time.perf_counter() - self.start,
            "cpuSeconds": self._cpu() - self.cpu,
        }

    @staticmethod
    def _cpu():
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime


def read_problems(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def finish(meter, **facts):
    """The last line of stdout: what was measured."""
    print(json.dumps({**meter.read(), **facts}), flush=True)
