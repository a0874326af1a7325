"""Exports a trained reward model folder (train_prm.py) to ONNX, and checks it against PyTorch.

    python training/export_prm.py training/out-prm/prm --out models/figmath-prm --check

onnx/vision_encoder.onnx, onnx/embed_tokens.onnx   as export_onnx.py writes them
onnx/scorer_append.onnx     inputs_embeds [batch, tokens, hidden], past_length [batch],
                            past_key_values.N.key|value [batch, kv_heads, past, head_dim]
                            -> logits [batch, tokens, 2] (Yes, No), new_keys and new_values
                            [layers, batch, kv_heads, tokens, head_dim]
onnx/scorer.onnx_data       its weights (decoder.onnx_data with --critic, shared with decoder_append and
                            decoder_step, by which any policy host can write corrections)
steptree_prm.json           marker, separator and label tokens; what a host must know to score
model.safetensors           float16
and the tokenizer, processor and configuration files of the folder

A host scores `prompt + step1<prm>\\n\\nstep2<prm>...`; a step's score is softmax(logits)[0] at its
marker. A child of a scored prefix needs its own tokens only, behind the prefix's keys and values.
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
    copy_files, decoder_weights, empty_past, export_embedding, export_vision, save_with_shared_weights,
)
from figmath_tokenizer import chat_prefix, chat_prompt_tail
from onnx_graphs import append_decoder, append_scorer, step_decoder
from prm_data import MARKER, NEGATIVE, POSITIVE, SEPARATOR

LIMIT = 1e-4
PRM_TEMPLATE = Path(__file__).with_name("prm_chat_template.jinja")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--critic", action="store_true", help="also the decoder graphs that write corrections")
    parser.add_argument("--check", action="store_true", help="compare with PyTorch")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration.from_pretrained(args.folder, dtype=torch.float32).eval()
    # What is committed is float16; the graphs are made from the same rounded values.
    model.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})
    tokenizer = Tokenizer.from_file(str(args.folder / "tokenizer.json"))
    export(model, tokenizer, args.folder, args.out, args.critic)
    if args.check:
        check(model, tokenizer, args.out)


def export(model, tokenizer, folder, out, critic=False):
    target = out / "onnx"
    target.mkdir(parents=True, exist_ok=True)
    save_half(model, out)
    copy_files(folder, out)
    if not critic:  # a critic is prompted as a policy is
        (out / "chat_template.jinja").write_text(PRM_TEMPLATE.read_text())
        rewrite_json(out / "tokenizer_config.json", chat_template=PRM_TEMPLATE.read_text())
    rewrite_json(out / "config.json", dtype="float16")
    export_vision(model, target / "vision_encoder.onnx")
    export_embedding(model, target / "embed_tokens.onnx")
    weights = decoder_weights(model)
    yes_no = [tokenizer.token_to_id(POSITIVE), tokenizer.token_to_id(NEGATIVE)]
    weights["score_head.weight"] = np.ascontiguousarray(weights["lm_head.weight"][:, yes_no])
    graphs = {"scorer_append.onnx": append_scorer(model.config.text_config, weights)}
    if critic:
        graphs["decoder_append.onnx"] = append_decoder(model.config.text_config, weights)
        graphs["decoder_step.onnx"] = step_decoder(model.config.text_config, weights)
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
    if critic:
        # The step after `wrong step<prm>No` is its correction.
        facts |= {"corrects": True, "correctionPrefix": MARKER + NEGATIVE}
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
    """Largest difference of scores and logits to PyTorch: in one pass, and step by step behind a past
    that is padded by garbage."""
    import onnxruntime

    sessions = {path.stem: onnxruntime.InferenceSession(path) for path in (out / "onnx").glob("*.onnx")}
    config, vision = model.config, model.config.vision_config
    pixels = torch.randn(1, vision.num_channels, vision.image_size, vision.image_size)
    steps = ["A=29, D=34.", "Also B=48.", "Next 29+34=63.", "63-48=15.", "Answer: 15"]
    text = chat_prefix() + chat_prompt_tail("By how much is the sum of D and A larger than B?")
    cuts = [0]
    for index, step in enumerate(steps):
        text += (SEPARATOR if index else "") + step + MARKER
        cuts.append(len(tokenizer.encode(text, add_special_tokens=False).ids))
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])
    yes_no = [tokenizer.token_to_id(POSITIVE), tokenizer.token_to_id(NEGATIVE)]
    with torch.no_grad():
        expected = model(input_ids=ids, pixel_values=pixels).logits[..., yes_no].numpy()
    features = sessions["vision_encoder"].run(None, {"pixel_values": pixels.numpy()})[0]
    embeds = sessions["embed_tokens"].run(None, {"input_ids": ids.numpy()})[0]
    embeds[ids.numpy() == config.image_token_index] = features[0]
    worst = 0.0
    for name, places in (("one pass", [0, len(ids[0])]), ("step by step", cuts)):
        logits = run_scorer(sessions["scorer_append"], config.text_config, embeds, places)
        difference = float(np.abs(logits - expected).max())
        worst = max(worst, difference)
        print(f"scorer, {name}: largest logit difference to PyTorch {difference:.2e} (logits up to {np.abs(expected).max():.1f})")
    if worst >= LIMIT:
        sys.exit(f"the difference {worst:.2e} is not below {LIMIT:.0e}")


def run_scorer(session, config, embeds, places):
    capacity = embeds.shape[1] + 7
    layers = range(config.num_hidden_layers)
    past = {f"past_key_values.{n}.{kind}": empty_past(config, capacity) + 3 for n in layers for kind in ("key", "value")}
    logits = []
    for start, end in zip(places, places[1:]):
        feeds = {"inputs_embeds": embeds[:, start:end], "past_length": np.array([start])}
        part, keys, values = session.run(["logits", "new_keys", "new_values"], feeds | past)
        logits.append(part)
        for layer in layers:
            past[f"past_key_values.{layer}.key"][:, :, start:end] = keys[layer]
            past[f"past_key_values.{layer}.value"][:, :, start:end] = values[layer]
    return np.concatenate(logits, axis=1)


if __name__ == "__main__":
    main()
