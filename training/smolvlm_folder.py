"""Makes a folder of SmolVLM's architecture with random weights, seeded: what the ONNX host has to load,
at its true cost, without anybody's weights.

    python training/smolvlm_folder.py --out /somewhere/smolvlm-256m           # 256 M parameters, 1.2 GB
    python training/smolvlm_folder.py --out test/fixtures/tiny-smolvlm --tiny   # the test's, some 100 kB

Idefics3 (arXiv 2408.12637): a SigLIP tower (arXiv 2303.15343), 4 x 4 pixel shuffle and one linear layer,
a Llama-style decoder with grouped queries. The full size is that of SmolVLM-256M-Instruct (arXiv
2504.05299): SigLIP-base of 512 pixels and SmolLM2-135M. Pictures are cut into tiles of the tower's size,
with the whole picture as last tile. The tokenizer is byte-level BPE with made-up merges, the chat template
our own.

The folder has the layout that export_onnx.py describes (that command makes such a folder from real weights).

--tiny also writes golden.json: the processor's prompt tokens and PyTorch's greedy continuation for two
pictures, one of which is split.
"""

import argparse
import base64
import io
import itertools
import json
import string
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessor, Idefics3Processor, PreTrainedTokenizerFast
from transformers.models.idefics3.configuration_idefics3 import Idefics3VisionConfig

from export_onnx import export_graphs

FULL = {
    "text": {
        "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "head_dim": 64, "vocab_size": 49280, "max_position_embeddings": 8192,
    },
    "vision": {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
        "image_size": 512, "patch_size": 16,
    },
    "scale_factor": 4,
    "longest_edge": 2048,
}
TINY = {
    "text": {
        "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 6,
        "num_key_value_heads": 2, "head_dim": 4, "vocab_size": 384, "max_position_embeddings": 512,
    },
    "vision": {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 8,
    },
    "scale_factor": 2,
    "longest_edge": 96,
}

FIRST = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
GRID = 6
LAST = [
    "<global-img>", *(f"<row_{row}_col_{column}>" for row in range(1, GRID + 1) for column in range(1, GRID + 1)),
    "<fake_token_around_image>", "<image>", "<end_of_utterance>",
]

CHAT_TEMPLATE = """<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true", help="the smallest one of the same architecture")
    args = parser.parse_args()
    size = TINY if args.tiny else FULL
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(size["text"]["vocab_size"])
    model = make_model(size, tokenizer, firm=args.tiny)
    print(f"{sum(weight.numel() for weight in model.parameters()) / 1e6:.1f} M parameters")
    processor = make_processor(size, tokenizer)
    processor.save_pretrained(args.out)
    model.config.save_pretrained(args.out)
    model.generation_config.save_pretrained(args.out)
    write_preprocessor(size, args.out)
    export_graphs(model, args.out / "onnx")
    if args.tiny:
        golden = [greedy(model, processor, *picture) for picture in ((20, 32), (96, 40))]
        (args.out / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


def make_tokenizer(size):
    """Byte-level BPE with `size` ids: specials first and last as SmolVLM has them, and between them the
    bytes and as many merges of letters as there is room for."""
    vocabulary = {token: index for index, token in enumerate(FIRST)}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[byte] = len(vocabulary)
    merges = []
    for left, right in made_up_merges():
        if len(vocabulary) + len(LAST) >= size:
            break
        if left + right not in vocabulary:
            merges.append((left, right))
            vocabulary[left + right] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in FIRST + LAST])
    if tokenizer.get_vocab_size() != size:
        raise ValueError(f"{tokenizer.get_vocab_size()} tokens, expected {size}")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=FIRST[1], eos_token=LAST[-1], pad_token=FIRST[2], clean_up_tokenization_spaces=False)


def made_up_merges():
    """Pairs that byte-level BPE may merge, in order: each part was made before."""
    letters = string.ascii_lowercase
    pairs = ["".join(pair) for pair in itertools.product(letters, repeat=2)]
    yield "Ċ", "Ċ"
    yield from itertools.product(letters, repeat=2)
    yield from (("Ġ", text) for text in [*letters, *pairs])
    yield from itertools.product(pairs, letters)
    yield from (("Ġ", left + right) for left, right in itertools.product(pairs, letters))
    yield from itertools.product(pairs, pairs)


def make_model(size, tokenizer, firm):
    """@param firm widens the random weights, so that greedy choices are not close to ties"""
    text = size["text"] | {
        "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }
    vision = Idefics3VisionConfig(**size["vision"], num_channels=3, hidden_act="gelu_pytorch_tanh", attn_implementation="eager")
    config = Idefics3Config(
        text_config=text, vision_config=vision, scale_factor=size["scale_factor"],
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), tie_word_embeddings=True, attn_implementation="eager",
    )
    model = Idefics3ForConditionalGeneration(config).eval()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    if firm:
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.3)
    model.tie_weights()
    return model


def make_processor(size, tokenizer):
    edge = size["vision"]["image_size"]
    images = Idefics3ImageProcessor(size={"longest_edge": size["longest_edge"]}, max_image_size={"longest_edge": edge})
    return Idefics3Processor(images, tokenizer, image_seq_len=tile_rows(size), chat_template=CHAT_TEMPLATE)


def tile_rows(size):
    """Rows of features per tile."""
    vision = size["vision"]
    return (vision["image_size"] // vision["patch_size"]) ** 2 // size["scale_factor"] ** 2


def write_preprocessor(size, folder):
    """The public folders' file; transformers 5 keeps it inside processor_config.json."""
    settings = {
        "do_convert_rgb": True, "do_image_splitting": True, "do_normalize": True, "do_pad": True, "do_rescale": True,
        "do_resize": True, "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "Idefics3ImageProcessor",
        "image_std": [0.5, 0.5, 0.5], "max_image_size": {"longest_edge": size["vision"]["image_size"]},
        "processor_class": "Idefics3Processor", "resample": 1, "rescale_factor": 1 / 255,
        "size": {"longest_edge": size["longest_edge"]},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")


@torch.no_grad()
def greedy(model, processor, width, height, count=12):
    """What PyTorch says about a picture of `width` x `height` pixels."""
    rows, columns = np.mgrid[0:height, 0:width]
    colours = np.stack([columns * 2 % 256, rows * 5 % 256, (columns + rows) * 3 % 256], axis=-1).astype(np.uint8)
    picture = Image.fromarray(colours)
    question = "How many circles are there?"
    content = [{"type": "image"}, {"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
    inputs = processor(images=[picture], text=prompt, return_tensors="pt", add_special_tokens=False)
    output = model.generate(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], pixel_values=inputs["pixel_values"], pixel_attention_mask=inputs["pixel_attention_mask"], do_sample=False, max_new_tokens=count)
    png = io.BytesIO()
    picture.save(png, "PNG")
    start = inputs["input_ids"].shape[1]
    return {
        "question": question,
        "image": "data:image/png;base64," + base64.b64encode(png.getvalue()).decode(),
        "promptTokens": inputs["input_ids"][0].tolist(),
        "tiles": inputs["pixel_values"].shape[1],
        "pixelSums": inputs["pixel_values"][0].sum(dim=(1, 2, 3)).tolist(),
        "generatedTokens": output[0, start:].tolist(),
    }


if __name__ == "__main__":
    main()
