"""Makes the smallest reward model folder that the hosts' tests can load: random weights, seeded.

    python training/tiny_prm.py models/figmath-policy --out test/fixtures/tiny-prm

Takes tokenizer and configuration of a policy's folder. Grouped queries and odd sizes are on purpose.
"""

import argparse
import copy
import json
import shutil
import tempfile
from pathlib import Path

import onnx
import torch
from tokenizers import Tokenizer
from transformers import LlavaConfig, LlavaForConditionalGeneration

import export_prm

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
        export_prm.export(model, tokenizer, folder, args.out)
    export_prm.check(model, tokenizer, args.out)
    # The tests need the graphs alone, and these without the exporter's notes.
    (args.out / "model.safetensors").unlink()
    strip_notes(args.out / "onnx" / "vision_encoder.onnx")


def strip_notes(path):
    model = onnx.load(path)
    for part in [*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer, model.graph]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.graph.ClearField("value_info")
    onnx.save(model, path)


if __name__ == "__main__":
    main()
