"""Exports a trained reward model folder (train_prm.py) to ONNX, and checks it against PyTorch.

    python training/export_prm.py training/out-prm/prm --out models/figmath-prm --check

onnx/vision_encoder.onnx, onnx/embed_tokens.onnx   as export_onnx.py writes them
onnx/scorer_append.onnx     inputs_embeds [batch, tokens, hidden], past_length [batch],
                            past_key_values.N.key|value [batch, kv_heads, past, head_dim]
                            -> logits [batch, tokens, 2] (Yes, No), new_keys and new_values
                            [layers, batch, kv_heads, tokens, head_dim]
                            With --likelihood a third logit: log p of the pass's tokens, summed up to
                            each one, and more layers of KV (onnx_graphs.likelihood_scorer)
onnx/scorer.onnx_data       its weights (decoder.onnx_data with --critic, shared with decoder_append and
                            decoder_step, by which any policy host can write corrections; --blind where
                            they are written from the right steps alone)
steptree_prm.json           marker, separator and label tokens; what a host must know to score
model.safetensors           float16
and the tokenizer, processor and configuration files of the folder

A host scores `prompt + step1<prm>\\n\\nstep2<prm>...`; a step's score is softmax(logits)[0] at its
marker. A child of a scored prefix needs its own tokens only, behind the prefix's keys and values.
With `--likelihood FILE` ({"weight", "valueWeight", "bias"}, as calibrate_prm.py writes it) a step's score is
sigmoid(valueWeight * (logit Yes - logit No) + weight * C + bias): C is the log-likelihood of the
solution up to the marker by the same model's language head, markers and prompt left out.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import LlavaForConditionalGeneration

from export_onnx import (
    array, copy_files, empty_past, export_embedding, export_vision, llama_weights, save_with_shared_weights,
)
from figmath_tokenizer import chat_prefix, chat_prompt_tail
from onnx_graphs import LEAST_LOG_P, append_decoder, append_scorer, carried_layers, likelihood_scorer, step_decoder
from prm_data import MARKER, NEGATIVE, POSITIVE, SEPARATOR

LIMIT = 1e-4
LIKELIHOOD_LIMIT = 1e-3  # of a sum over some hundred tokens, nats
PRM_TEMPLATE = Path(__file__).with_name("prm_chat_template.jinja")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--critic", action="store_true", help="also the decoder graphs that write corrections")
    parser.add_argument("--blind", action="store_true", help="the critic writes from the right steps alone: it was not trained on corrections")
    parser.add_argument("--likelihood", type=Path, metavar="FILE", help="weights of value and likelihood (calibrate_prm.py)")
    parser.add_argument("--check", action="store_true", help="compare with PyTorch")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration.from_pretrained(args.folder, dtype=torch.float32).eval()
    # What is committed is float16; the graphs are made from the same rounded values.
    model.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})
    tokenizer = Tokenizer.from_file(str(args.folder / "tokenizer.json"))
    likelihood = read_likelihood(args.likelihood, model) if args.likelihood else None
    export(model, tokenizer, args.folder, args.out, args.critic, likelihood, args.blind)
    if args.check:
        check(model, tokenizer, args.out)


def read_likelihood(path, model):
    names = {"weight", "valueWeight", "bias"}
    facts = json.loads(path.read_text())
    if set(facts) != names or not all(isinstance(value, (int, float)) for value in facts.values()):
        sys.exit(f"{path}: expected numbers named {', '.join(sorted(names))}, as calibrate_prm.py writes them")
    if not model.config.tie_word_embeddings:
        sys.exit("--likelihood needs a model with tie_word_embeddings: a token's logit is taken with its embedding")
    return facts


def export(model, tokenizer, folder, out, critic=False, likelihood=None, blind=False):
    target = out / "onnx"
    target.mkdir(parents=True, exist_ok=True)
    save_half(model, out)
    copy_files(folder, out)
    if not critic or blind:  # a trained critic is prompted as a policy is
        (out / "chat_template.jinja").write_text(PRM_TEMPLATE.read_text())
        rewrite_json(out / "tokenizer_config.json", chat_template=PRM_TEMPLATE.read_text())
    rewrite_json(out / "config.json", dtype="float16")
    export_vision(model, target / "vision_encoder.onnx")
    export_embedding(model, target / "embed_tokens.onnx")
    weights = llama_weights(model.model.language_model, model.lm_head, model.config.text_config)
    yes_no = [tokenizer.token_to_id(POSITIVE), tokenizer.token_to_id(NEGATIVE)]
    weights["score_head.weight"] = np.ascontiguousarray(weights["lm_head.weight"][:, yes_no])
    config = model.config.text_config
    weights["score_marker"] = array(model.get_input_embeddings().weight[tokenizer.token_to_id(MARKER)])
    graphs = {"scorer_append.onnx": (likelihood_scorer if likelihood else append_scorer)(config, weights)}
    if critic:
        graphs["decoder_append.onnx"] = append_decoder(config, weights)
        graphs["decoder_step.onnx"] = step_decoder(config, weights)
    save_with_shared_weights(graphs, target, "decoder.onnx_data" if critic else "scorer.onnx_data")
    facts = {
        "type": "token-logits",
        "marker": MARKER,
        "markerTokenId": tokenizer.token_to_id(MARKER),
        "stepSeparator": SEPARATOR,
        "positiveToken": POSITIVE,
        "positiveTokenId": yes_no[0],
        "negativeToken": NEGATIVE,
        "negativeTokenId": yes_no[1],
        "scoreRange": [0, 1],
        "scorer": "onnx/scorer_append.onnx",
    }
    if likelihood:
        facts |= {"likelihood": likelihood, "scorerLayers": config.num_hidden_layers + carried_layers(config)}
    if critic:
        # The step after `wrong step<prm>No` is its correction; of a blind one, the step after the right ones.
        facts |= {"corrects": True, "correctionPrefix": None if blind else MARKER + NEGATIVE}
    (out / "steptree_prm.json").write_text(json.dumps(facts, indent=2) + "\n")
    for path in sorted([*target.iterdir(), out / "model.safetensors"]):
        print(f"{path.name:28} {path.stat().st_size / 1e6:8.3f} MB")


def save_half(model, out):
    half = LlavaForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half.generation_config = model.generation_config
    half.half().save_pretrained(out)


def rewrite_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes, indent=2) + "\n")


def check(model, tokenizer, out):
    """Largest difference of logits and log-likelihoods to PyTorch: in one pass, behind the prompt, and step
    by step, behind a past that is padded by garbage."""
    import onnxruntime

    sessions = {path.stem: onnxruntime.InferenceSession(path) for path in (out / "onnx").glob("*.onnx")}
    facts = json.loads((out / "steptree_prm.json").read_text())
    config, vision = model.config, model.config.vision_config
    pixels = torch.randn(1, vision.num_channels, vision.image_size, vision.image_size)
    steps = ["A=29, D=34.", "Also B=48.", "Next 29+34=63.", "63-48=15.", "Answer: 15"]
    text = chat_prefix() + chat_prompt_tail("By how much is the sum of D and A larger than B?")
    head = len(tokenizer.encode(text, add_special_tokens=False).ids)
    cuts = [0, head]
    for index, step in enumerate(steps):
        text += (SEPARATOR if index else "") + step + MARKER
        cuts.append(len(tokenizer.encode(text, add_special_tokens=False).ids))
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])
    yes_no = [tokenizer.token_to_id(POSITIVE), tokenizer.token_to_id(NEGATIVE)]
    with torch.no_grad():
        every = model(input_ids=ids, pixel_values=pixels).logits
    expected = every[..., yes_no].numpy()
    features = sessions["vision_encoder"].run(None, {"pixel_values": pixels.numpy()})[0]
    embeds = sessions["embed_tokens"].run(None, {"input_ids": ids.numpy()})[0]
    embeds[ids.numpy() == config.image_token_index] = features[0]
    layers = facts.get("scorerLayers", config.text_config.num_hidden_layers)
    likely = log_likelihoods(every, ids, tokenizer.token_to_id(MARKER), head)
    failed = False
    for name, places in (("one pass", [0, len(ids[0])]), ("prompt first", [0, head, len(ids[0])]), ("step by step", cuts)):
        logits = run_scorer(sessions["scorer_append"], config.text_config, layers, embeds, places)
        difference = float(np.abs(logits[..., :2] - expected).max())
        failed |= not difference < LIMIT
        print(f"scorer, {name}: largest logit difference to PyTorch {difference:.2e} (logits up to {np.abs(expected).max():.1f})")
        if "likelihood" in facts:
            sums = added_passes(logits[0, :, 2].astype(float), places)
            difference = float(np.abs(sums[head:] - sums[head - 1] - likely).max())
            failed |= not difference < LIKELIHOOD_LIMIT
            print(f"scorer, {name}: largest log-likelihood difference to PyTorch {difference:.2e} nats (down to {likely.min():.1f})")
    if failed:
        sys.exit(f"a difference is not below {LIMIT:.0e} for logits, {LIKELIHOOD_LIMIT:.0e} for log-likelihoods")


def added_passes(sums, places):
    """Sums that begin anew with each pass, made to run through."""
    for start, end in zip(places[1:], places[2:]):
        sums[start:end] += sums[start - 1]
    return sums


def log_likelihoods(logits, ids, marker, head):
    """log p of the solution up to each of its tokens, markers left out, [tokens - head]."""
    targets = ids[0, head:]
    log_p = logits[0, head - 1 : -1].double().log_softmax(-1).gather(1, targets[:, None])[:, 0]
    return log_p.clamp(min=LEAST_LOG_P).masked_fill(targets == marker, 0).cumsum(0).numpy()


def run_scorer(session, config, layers, embeds, places):
    capacity = embeds.shape[1] + 7
    past = {f"past_key_values.{n}.{kind}": empty_past(config, capacity) + 3 for n in range(layers) for kind in ("key", "value")}
    logits = []
    for start, end in zip(places, places[1:]):
        feeds = {"inputs_embeds": embeds[:, start:end], "past_length": np.array([start])}
        part, keys, values = session.run(["logits", "new_keys", "new_values"], feeds | past)
        logits.append(part)
        for layer in range(layers):
            past[f"past_key_values.{layer}.key"][:, :, start:end] = keys[layer]
            past[f"past_key_values.{layer}.value"][:, :, start:end] = values[layer]
    return np.concatenate(logits, axis=1)


if __name__ == "__main__":
    main()
