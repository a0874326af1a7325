"""Greedy and sampled solutions of exported problems, and what is wrong with them."""

import re

import numpy as np
import torch

from figmath_model import image_features, prefix_cache, segment_logits
from figmath_tokenizer import chat_prompt_tail

ANSWER = re.compile(r"Answer: (-?\d+)")
NAMED_VALUE = re.compile(
    r"\b([A-Z]|width|height|base|left|right|circles|squares|triangles|red|blue|green|orange|purple)=(\d+)"
)
CALCULATION = re.compile(r"(\d+)([-+*])(\d+)=(\d+)")


@torch.no_grad()
def generate(model, tokenizer, pixel_values, questions, temperature, generator, most=130):
    """One solution text per row."""
    device = pixel_values.device
    cache = prefix_cache(model, tokenizer, image_features(model, pixel_values))
    past = cache.get_seq_length()
    end, pad = tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<|pad|>")
    prompts = [tokenizer.encode(chat_prompt_tail(q), add_special_tokens=False).ids for q in questions]
    longest = max(map(len, prompts))
    # Left padding keeps the last column real; positions count real tokens only.
    tokens = torch.tensor([[pad] * (longest - len(p)) + p for p in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=device)
    full = torch.cat([mask.new_ones(len(tokens), past), mask], 1)
    positions = past + (mask.cumsum(1) - 1).clamp(min=0)
    lengths = positions[:, -1:]
    finished = torch.zeros(len(tokens), dtype=torch.bool, device=device)
    written = []
    for _ in range(most):
        hidden = model.model.language_model(
            input_ids=tokens, attention_mask=full, position_ids=positions, past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        logits = model.lm_head(hidden).float()
        if temperature == 0:
            chosen = logits.argmax(-1)
        else:
            chosen = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
        chosen = torch.where(finished, pad, chosen)
        written.append(chosen)
        finished |= chosen == end
        if finished.all():
            break
        tokens = chosen[:, None]
        lengths = lengths + 1
        positions = lengths
        full = torch.cat([full, full.new_ones(len(full), 1)], 1)
    rows = torch.stack(written, 1).tolist()
    return [tokenizer.decode([t for t in row if t not in (end, pad)]) for row in rows]


def readings_right(text, readings):
    """(right, said): values that the text reads from the figure, against the truth."""
    truth = {r["name"]: r["value"] for r in readings}
    said = [(name, int(value)) for name, value in NAMED_VALUE.findall(text)]
    return sum(truth.get(name) == value for name, value in said), len(said)


def calculations_right(text):
    for left, operator, right, result in CALCULATION.findall(text):
        a, b = int(left), int(right)
        if int(result) != {"+": a + b, "-": a - b, "*": a * b}[operator]:
            return False
    return True


def judge(text, asked):
    """'right', or the kind of its first trouble: 'reading', 'arithmetic', 'other'."""
    found = ANSWER.findall(text)
    if found and found[-1] == asked["answer"]:
        return "right"
    right, said = readings_right(text, asked["readings"])
    if right < said:
        return "reading"
    return "arithmetic" if not calculations_right(text) else "other"


def evaluate(model, tokenizer, data, count, samples=0, temperature=1.0, seed=0, batch=256):
    """Accuracy of greedy and, with `samples`, of pass@k and majority@k."""
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    problems = [data.problem(i) for i in range(count)]

    def texts(indices, heat):
        out = []
        for start in range(0, len(indices), batch):
            part = indices[start : start + batch]
            questions = [problems[i]["asked"][0]["question"] for i in part]
            pixels = data.pixel_values(part).to(device)
            out += generate(model, tokenizer, pixels, questions, heat, generator)
        return out

    greedy = texts(list(range(count)), 0)
    verdicts = [judge(t, p["asked"][0]) for t, p in zip(greedy, problems)]
    said = [readings_right(t, p["asked"][0]["readings"]) for t, p in zip(greedy, problems)]
    families = [p["family"] for p in problems]
    result = {
        "count": count,
        "greedy": float(np.mean([v == "right" for v in verdicts])),
        "errors": {k: verdicts.count(k) for k in ("reading", "arithmetic", "other")},
        "readingAccuracy": sum(r for r, _ in said) / max(1, sum(s for _, s in said)),
    }
    for family in sorted(set(families)):
        chosen = [i for i in range(count) if families[i] == family]
        result[f"greedy/{family}"] = float(np.mean([verdicts[i] == "right" for i in chosen]))
        result[f"reading/{family}"] = sum(said[i][0] for i in chosen) / max(1, sum(said[i][1] for i in chosen))
    if samples:
        result.update(sampled(texts([i for i in range(count) for _ in range(samples)], temperature),
                              problems, samples))
    result["examples"] = [(problems[i]["asked"][0]["question"], greedy[i], verdicts[i]) for i in range(8)]
    model.train()
    return result


def sampled(texts, problems, samples):
    answers = [(ANSWER.findall(t) or [""])[-1] for t in texts]
    rows = [answers[i : i + samples] for i in range(0, len(answers), samples)]
    gold = [p["asked"][0]["answer"] for p in problems]
    result = {}
    for k in (1, 4, 16):
        if k <= samples:
            # Unbiased: 1 - C(wrong, k) / C(samples, k)
            passed = []
            for row, answer in zip(rows, gold):
                wrong = sum(a != answer for a in row)
                miss = np.prod([(wrong - j) / (samples - j) for j in range(k)]) if wrong >= k else 0.0
                passed.append(1 - miss)
            result[f"pass@{k}"] = float(np.mean(passed))
    majority = []
    for row, answer in zip(rows, gold):
        given = [a for a in row if a]
        majority.append(bool(given) and max(given, key=given.count) == answer)
    result[f"majority@{samples}"] = float(np.mean(majority))
    result["distinct@16"] = float(np.mean([len(set(texts[i : i + samples])) for i in range(0, len(texts), samples)]))
    return result
