"""Measures a saved policy on unseen figmath problems.

    python training/eval_policy.py training/out/policy --data training/out/data/test --count 500 --samples 16
"""

import argparse
import json
import math
import time

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForImageTextToText

from figmath_data import FigmathData
from figmath_eval import evaluate


def wilson(share, count, z=1.96):
    """95 % interval of a share of `count` problems."""
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    return [round(middle - half, 4), round(middle + half, 4)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("policy", help="folder with the saved model and tokenizer.json")
    parser.add_argument("--data", required=True, help="folder written by export-training.js")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--examples", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = AutoModelForImageTextToText.from_pretrained(args.policy, dtype=torch.float32)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = Tokenizer.from_file(f"{args.policy}/tokenizer.json")
    began = time.time()
    result = evaluate(model, tokenizer, FigmathData(args.data), args.count, args.samples,
                      args.temperature, args.seed)
    for question, text, verdict in result.pop("examples"):
        if args.examples:
            print(f"[{verdict}] {question}\n{text}\n")
    for name in [key for key in result if key.startswith(("greedy", "pass@", "majority@"))]:
        if "/" not in name:
            result[f"{name} 95%"] = wilson(result[name], args.count)
    result["seconds"] = round(time.time() - began, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
