"""Makes the smallest reward model folder that the hosts' tests can load: random weights, seeded.

    python training/tiny_prm.py models/figmath-policy --out test/fixtures/tiny-prm
    python training/tiny_prm.py models/figmath-policy --out test/fixtures/tiny-prm-likelihood --likelihood

The second one scores with its likelihood too, and says in reference.json what PyTorch makes of a path.
Takes tokenizer and configuration of a policy's folder. Grouped queries and odd sizes are on purpose.
"""

import argparse
import copy
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from tokenizers import Tokenizer
from transformers import LlavaConfig, LlavaForConditionalGeneration

import export_prm
from figmath_tokenizer import chat_prefix, chat_prompt_tail
from prm_data import MARKER, NEGATIVE, POSITIVE, SEPARATOR

# Random likelihoods are far below a trained model's: a small weight keeps scores between 0 and 1.
LIKELIHOOD = {"weight": 0.01, "valueWeight": 0.5, "bias": 2.0}
QUESTION = "How many circles are there?"
COLOUR = [32, 48, 224]
STEPS = ["A=29, D=34.", "Also B=48.", "Next 29+34=63.", "63-48=15. " * 5, "Answer: 15"]

SMALL_TEXT = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 320,
}
SMALL_VISION = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 32, "patch_size": 4,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("policy", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--likelihood", action="store_true", help="with the likelihood as second term")
    args = parser.parse_args()
    torch.manual_seed(0)
    config = json.loads((args.policy / "config.json").read_text())
    config["text_config"] |= SMALL_TEXT
    config["vision_config"] |= SMALL_VISION
    model = LlavaForConditionalGeneration(LlavaConfig.from_dict(copy.deepcopy(config))).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.4)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        shutil.copytree(args.policy, folder, dirs_exist_ok=True)
        model.save_pretrained(folder)
        images = json.loads((folder / "preprocessor_config.json").read_text())
        images["size"] = {"height": SMALL_VISION["image_size"], "width": SMALL_VISION["image_size"]}
        (folder / "preprocessor_config.json").write_text(json.dumps(images, indent=2) + "\n")
        model.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        export_prm.export(model, tokenizer, folder, args.out, likelihood=LIKELIHOOD if args.likelihood else None)
    export_prm.check(model, tokenizer, args.out)
    if args.likelihood:
        reference = read_by_pytorch(model, tokenizer, args.out)
        (args.out / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")
    # The tests need the graphs alone, and these without the exporter's notes.
    (args.out / "model.safetensors").unlink()
    strip_notes(args.out / "onnx" / "vision_encoder.onnx")


@torch.no_grad()
def read_by_pytorch(model, tokenizer, folder):
    """A path behind a picture of one colour: both logits, log-likelihood and score at each marker."""
    images = json.loads((folder / "preprocessor_config.json").read_text())
    channels = (np.array(COLOUR) * images["rescale_factor"] - images["image_mean"]) / images["image_std"]
    size = SMALL_VISION["image_size"]
    pixels = torch.tensor(channels, dtype=torch.float32)[None, :, None, None].expand(1, 3, size, size)
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    prompt = chat_prefix() + chat_prompt_tail(QUESTION)
    head = len(encode(prompt))
    ids = torch.tensor([encode(prompt + SEPARATOR.join(step + MARKER for step in STEPS))])
    logits = model(input_ids=ids, pixel_values=pixels).logits
    marker = tokenizer.token_to_id(MARKER)
    likely = export_prm.log_likelihoods(logits, ids, marker, head)
    places = [place for place, token in enumerate(ids[0].tolist()) if token == marker]
    pairs = [[float(logits[0, place, tokenizer.token_to_id(word)]) for word in (POSITIVE, NEGATIVE)] for place in places]
    sums = [float(likely[place - head]) for place in places]
    a, w, b = (LIKELIHOOD[name] for name in ("valueWeight", "weight", "bias"))
    scores = [1 / (1 + np.exp(-(a * (yes - no) + w * c + b))) for (yes, no), c in zip(pairs, sums)]
    return {"question": QUESTION, "colour": COLOUR, "steps": STEPS, "logits": pairs, "logLikelihoods": sums, "scores": scores}


def strip_notes(path):
    model = onnx.load(path)
    for part in [*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer, model.graph]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.graph.ClearField("value_info")
    onnx.save(model, path)


if __name__ == "__main__":
    main()
