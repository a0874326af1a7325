"""Exports a Hugging Face folder of LLaVA's or SmolVLM's kind to ONNX (float32).

    python training/export_onnx.py HF_FOLDER --out DIR [--check] [--golden FILE --problems JSONL]

Takes a `LlavaForConditionalGeneration`, or an `Idefics3ForConditionalGeneration` as SmolVLM is one, with a
Llama-style text model (as `save_pretrained` and the processor's `save_pretrained` write it). Folders of such
models made for transformers.js have the merged decoder alone, with which our host is about five times slower at
16 sequences. Writes to DIR:

onnx/vision_encoder.onnx          pixel_values [images, 3, height, width]
                                  -> image_features [images, tokens, hidden], projector included;
                                  of SmolVLM's kind pixel_values [batch, tiles, 3, edge, edge] and
                                  pixel_attention_mask [batch, tiles, edge, edge]
                                  -> image_features [batch * tiles, tokens, hidden]
onnx/embed_tokens.onnx            input_ids [batch, tokens] -> inputs_embeds [batch, tokens, hidden]
onnx/decoder_model_merged.onnx    the layout of transformers.js: inputs_embeds, attention_mask,
                                  position_ids, past_key_values.N.key|value -> logits,
                                  present.N.key|value
onnx/decoder_append.onnx          the same weights with append-only KV: inputs_embeds,
                                  past_length [batch], logits_positions [batch, rows],
                                  past_key_values.N.key|value [batch, kv_heads, past, head_dim]
                                  -> logits [batch, rows, vocab], new_keys and new_values
                                  [layers, batch, kv_heads, tokens, head_dim]
onnx/decoder_step.onnx            one token for each of many sequences that share prefixes, whose KV
                                  is read once for all of them; see onnx_graphs.step_decoder
onnx/decoder.onnx_data            the weights of all decoders
config.json, generation_config.json, tokenizer files, chat template, preprocessor_config.json

In decoder_append a past may be padded at its end: only its first `past_length` rows are seen.
Logits are computed for the tokens named in `logits_positions` alone (the last one when sampling, any
chosen ones when scoring).

--check compares both decoders, stepwise and in one pass, with the PyTorch model on a random image
and random tokens, prints the largest logit difference and fails at 3e-5 of the largest logit or more: float32 rounds
in proportion to what it rounds.
--golden writes PyTorch's greedy continuations of the first problems of a JSONL file
({"id", "question", "image"}), the reference of the TypeScript host's test.
"""

import argparse
import base64
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, external_data_helper, helper, numpy_helper
from transformers import AutoModelForImageTextToText, AutoProcessor

from onnx_graphs import MASKED, OPSET, append_decoder, merged_decoder, step_decoder

LIMIT = 3e-5
# Models that cut a picture into tiles: SmolVLM and SmolVLM2.
TILED = ("idefics3", "smolvlm")
COPIED = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "processor_config.json",
    "preprocessor_config.json",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--check", action="store_true", help="compare with PyTorch")
    parser.add_argument("--golden", type=Path, help="write greedy reference continuations")
    parser.add_argument("--problems", type=Path, help="problems for --golden")
    parser.add_argument("--count", type=int, default=3, help="problems in --golden")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_pretrained(args.folder, dtype=torch.float32).eval()
    if model.config.model_type not in ("llava", *TILED):
        sys.exit(f"{args.folder} is a {model.config.model_type}; expected llava, {' or '.join(TILED)}")
    export(model, args.folder, args.out)
    if args.check:
        check(model, args.out)
    if args.golden:
        if args.problems is None:
            parser.error("--golden needs --problems")
        write_golden(model, args.folder, args.problems, args.count, args.golden)


def export(model, folder, out):
    out.mkdir(parents=True, exist_ok=True)
    copy_files(folder, out)
    export_graphs(model, out / "onnx")


def export_graphs(model, target):
    target.mkdir(parents=True, exist_ok=True)
    if model.config.model_type in TILED:
        export_tiled_vision(model, target / "vision_encoder.onnx")
        text = model.model.text_model
    else:
        export_vision(model, target / "vision_encoder.onnx")
        text = model.model.language_model
    export_embedding(model, target / "embed_tokens.onnx")
    config = model.config.text_config
    weights = llama_weights(text, model.lm_head, config)
    graphs = {
        "decoder_model_merged.onnx": merged_decoder(config, weights),
        "decoder_append.onnx": append_decoder(config, weights),
        "decoder_step.onnx": step_decoder(config, weights),
    }
    save_with_shared_weights(graphs, target, "decoder.onnx_data")
    for path in sorted(target.iterdir()):
        print(f"{path.name:28} {path.stat().st_size / 1e6:9.3f} MB")


def copy_files(folder, out):
    for name in COPIED:
        if (folder / name).exists() and folder.resolve() != out.resolve():
            shutil.copyfile(folder / name, out / name)
    processor = folder / "processor_config.json"
    # transformers 5 keeps the image processor inside the processor's file.
    if not (out / "preprocessor_config.json").exists() and processor.exists():
        images = json.loads(processor.read_text())["image_processor"]
        (out / "preprocessor_config.json").write_text(json.dumps(images, indent=2) + "\n")


class VisionEncoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        # get_image_features gives a list per image, which would fix the number of images.
        layer = self.model.config.vision_feature_layer
        outputs = self.model.model.vision_tower(pixel_values, output_hidden_states=True)
        features = outputs.hidden_states[layer]
        if self.model.config.vision_feature_select_strategy == "default":
            features = features[:, 1:]
        return self.model.model.multi_modal_projector(features)


def export_vision(model, path):
    if not isinstance(model.config.vision_feature_layer, int):
        sys.exit("expected a single vision_feature_layer")
    pixels = {"pixel_values": random_pixels(model, 2)}
    export_torch(VisionEncoder(model), pixels, {"pixel_values": {0: torch.export.Dim("images")}}, path)


class TiledVisionEncoder(torch.nn.Module):
    """Tower, pixel shuffle and projection of every tile. Padding tiles are not dropped: their number would
    be no shape."""

    def __init__(self, model):
        super().__init__()
        self.tower, self.connector = model.model.vision_model, model.model.connector
        self.patch = model.config.vision_config.patch_size

    def forward(self, pixel_values, pixel_attention_mask):
        pixels = pixel_values.flatten(0, 1)
        mask = pixel_attention_mask.flatten(0, 1).to(torch.float32)
        patches = torch.nn.functional.max_pool2d(mask[:, None], self.patch)[:, 0] > 0
        states = self.tower(pixel_values=pixels, patch_attention_mask=patches).last_hidden_state
        return self.connector(states)


def export_tiled_vision(model, path):
    # Other attention than this has conditions on the mask that can't be exported.
    model.set_attn_implementation("eager")
    pixels = tiled(random_pixels(model, 6).unflatten(0, (2, 3)))
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tiles")}
    export_torch(TiledVisionEncoder(model), pixels, {name: axes for name in pixels}, path)


def random_pixels(model, images):
    vision = model.config.vision_config
    return torch.randn(images, getattr(vision, "num_channels", 3), vision.image_size, vision.image_size)


def tiled(pixel_values):
    """@param pixel_values [batch, tiles, 3, edge, edge] without padding"""
    mask = torch.ones(pixel_values.shape[:2] + pixel_values.shape[3:], dtype=torch.bool)
    return {"pixel_values": pixel_values, "pixel_attention_mask": mask}


def export_torch(module, inputs, dynamic_shapes, path):
    torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=["image_features"],
        dynamic_shapes=dynamic_shapes,
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    strip_traces(path)


def strip_traces(path):
    """Takes out the exporter's stack traces: a fifth of the file, and paths of this machine."""
    model = onnx.load(path)
    graph = model.graph
    for part in [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def export_embedding(model, path):
    table = array(model.get_input_embeddings().weight)
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
    embeds = helper.make_tensor_value_info("inputs_embeds", TensorProto.FLOAT, ["batch", "tokens", table.shape[1]])
    node = helper.make_node("Gather", ["embed_tokens.weight", "input_ids"], ["inputs_embeds"], "gather")
    graph = helper.make_graph([node], "embed_tokens", [ids], [embeds], [numpy_helper.from_array(table, "embed_tokens.weight")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9), path)


def llama_weights(text, lm_head, config):
    """Weights of a Llama-style text model and its head by the graphs' names, matrices as [in, out]."""
    kind = getattr(config, "rope_parameters", {}).get("rope_type", "default")
    if config.model_type != "llama" or config.hidden_act != "silu" or kind != "default":
        sys.exit(f"expected a llama text model with silu and default rope, got {config.model_type}, {config.hidden_act}, rope {kind}")
    weights = {
        "rotary.inv_freq": array(text.rotary_emb.inv_freq),
        "norm.weight": array(text.norm.weight),
        "lm_head.weight": array(lm_head.weight).T.copy(),
    }
    for index, layer in enumerate(text.layers):
        attention, mlp, name = layer.self_attn, layer.mlp, f"layers.{index}"
        weights[f"{name}.input_norm.weight"] = array(layer.input_layernorm.weight)
        weights[f"{name}.post_norm.weight"] = array(layer.post_attention_layernorm.weight)
        add_linear(weights, f"{name}.qkv", [attention.q_proj, attention.k_proj, attention.v_proj])
        scale_queries(weights, f"{name}.qkv", attention.q_proj.out_features, config.head_dim)
        add_linear(weights, f"{name}.o", [attention.o_proj])
        # Apart: a split of their joint product costs more than the second product.
        for part in ("gate", "up", "down"):
            add_linear(weights, f"{name}.{part}", [getattr(mlp, f"{part}_proj")])
    return weights


def add_linear(weights, name, parts):
    """Several linear layers over one input become one matrix, side by side."""
    weights[f"{name}.weight"] = np.concatenate([array(part.weight).T for part in parts], axis=1)
    if parts[0].bias is not None:
        weights[f"{name}.bias"] = np.concatenate([array(part.bias) for part in parts])


def scale_queries(weights, name, size, head_dim):
    """Attention's 1 / sqrt(head_dim), taken once here instead of at every token."""
    for key in (f"{name}.weight", f"{name}.bias"):
        if key in weights:
            weights[key][..., :size] *= np.float32(head_dim**-0.5)


def array(tensor):
    return tensor.detach().float().numpy().copy()


def save_with_shared_weights(graphs, folder, data_name):
    """Writes the graphs with their large initializers in one external file, each stored once."""
    places = {}
    with open(folder / data_name, "wb") as data:
        for model in graphs.values():
            for tensor in model.graph.initializer:
                if len(tensor.raw_data) < 256:
                    continue
                if tensor.name not in places:
                    data.write(b"\0" * (-data.tell() % 64))
                    places[tensor.name] = (data.tell(), len(tensor.raw_data))
                    data.write(tensor.raw_data)
                offset, length = places[tensor.name]
                external_data_helper.set_external_data(tensor, data_name, offset, length)
                tensor.ClearField("raw_data")
    for name, model in graphs.items():
        onnx.save(model, folder / name)
        onnx.checker.check_model(str(folder / name))


def check(model, out, tokens=24, steps=6):
    """Largest absolute logit difference to PyTorch over a prefill and single-token steps, with the
    append graph's past padded by garbage that its mask has to hide."""
    import onnxruntime

    sessions = {path.stem: onnxruntime.InferenceSession(path) for path in (out / "onnx").glob("*.onnx")}
    config, pixels = model.config, random_pixels(model, 1)
    pictures = tiled(pixels[None]) if config.model_type in TILED else {"pixel_values": pixels}
    features = sessions["vision_encoder"].run(None, {name: pixels.numpy() for name, pixels in pictures.items()})[0]
    image_token = getattr(config, "image_token_id", None) or config.image_token_index
    ids = torch.randint(5, config.text_config.vocab_size, (1, features.shape[1] + tokens + steps))
    ids[ids == image_token] = 4
    ids[0, 1 : 1 + features.shape[1]] = image_token
    with torch.no_grad():
        expected = model(input_ids=ids, **pictures).logits.numpy()
    embeds = sessions["embed_tokens"].run(None, {"input_ids": ids.numpy()})[0]
    embeds[0, 1 : 1 + features.shape[1]] = features[0]
    worst = 0.0
    for name, run in (("decoder_model_merged", run_merged), ("decoder_append and decoder_step", run_append)):
        logits = run(sessions, config.text_config, embeds, embeds.shape[1] - steps)
        difference = float(np.abs(logits - expected).max())
        worst = max(worst, difference / float(np.abs(expected).max()))
        print(f"{name}: largest logit difference to PyTorch {difference:.2e} (logits up to {np.abs(expected).max():.1f})")
    if worst >= LIMIT:
        sys.exit(f"the difference, {worst:.1e} of the largest logit, is not below {LIMIT:.0e}")


def run_merged(sessions, config, embeds, prompt):
    session = sessions["decoder_model_merged"]
    cuts = [0, prompt, *range(prompt + 1, embeds.shape[1] + 1)]
    names = [f"{layer}.{kind}" for layer in range(config.num_hidden_layers) for kind in ("key", "value")]
    past = {f"past_key_values.{name}": empty_past(config, 0) for name in names}
    logits = []
    for start, end in zip(cuts, cuts[1:]):
        feeds = {
            "inputs_embeds": embeds[:, start:end],
            "attention_mask": np.ones((1, end), np.int64),
            "position_ids": np.arange(start, end)[None],
        }
        out = session.run(["logits", *(f"present.{name}" for name in names)], feeds | past)
        logits.append(out[0])
        past = {f"past_key_values.{name}": tensor for name, tensor in zip(names, out[1:])}
    return np.concatenate(logits, axis=1)


def run_append(sessions, config, embeds, prompt):
    """The prompt by the append graph, the tokens after it by the step graph."""
    layers = range(config.num_hidden_layers)
    padding = empty_past(config, 9) + 3
    feeds = {"inputs_embeds": embeds[:, :prompt], "past_length": np.array([0]), "logits_positions": np.arange(prompt)[None]}
    feeds |= {f"past_key_values.{layer}.{kind}": padding for layer in layers for kind in ("key", "value")}
    rows, keys, values = sessions["decoder_append"].run(["logits", "new_keys", "new_values"], feeds)
    logits = [rows]
    prefix, own = {}, {}
    for layer in layers:
        for kind, new in (("key", keys), ("value", values)):
            prefix[f"prefix_key_values.{layer}.{kind}"] = np.concatenate([new[layer], padding], axis=2)
            own[f"past_key_values.{layer}.{kind}"] = empty_past(config, embeds.shape[1] - prompt + 9) + 3
    for count in range(embeds.shape[1] - prompt):
        rows, new = sessions["decoder_step"].run(None, step_feeds(config, embeds, prompt, count, padding.shape[2]) | prefix | own)
        logits.append(rows)
        new = new.reshape(len(layers), 2, 1, config.num_key_value_heads, config.head_dim)
        for layer in layers:
            own[f"past_key_values.{layer}.key"][:, :, count] = new[layer, 0]
            own[f"past_key_values.{layer}.value"][:, :, count] = new[layer, 1]
    return np.concatenate(logits, axis=1)


def step_feeds(config, embeds, prompt, count, padding):
    """Inputs of the step graph but KV, for one sequence, twice in its tile, that has `count` rows of
    its own after `prompt` rows of prefix."""
    kv_heads = config.num_key_value_heads
    group = config.num_attention_heads // kv_heads
    bias = np.full((1, 1, 1, embeds.shape[1] + 2 * padding + 1), MASKED, np.float32)
    own = prompt + padding
    bias[..., :prompt] = bias[..., own : own + count] = bias[..., -1] = 0
    # (0, kv_head, query) for every query, which is also its place in the only tile.
    queries = np.stack(np.indices((1, kv_heads, group)), axis=-1)
    return {
        "inputs_embeds": embeds[:, prompt + count : prompt + count + 1],
        "positions": np.array([[prompt + count]]),
        "attention_bias": bias,
        "tile_queries": np.concatenate([queries, queries], axis=2),
        "sequence_rows": queries,
    }


def empty_past(config, rows):
    return np.zeros((1, config.num_key_value_heads, rows, config.head_dim), np.float32)


def write_golden(model, folder, problems, count, golden):
    """Greedy continuations of PyTorch: prompt token ids and the generated ids of each problem."""
    from PIL import Image

    processor = AutoProcessor.from_pretrained(folder)
    lines = []
    for line in problems.read_text().splitlines()[:count]:
        problem = json.loads(line)
        path = problems.parent / problem["image"]
        content = [{"type": "image"}, {"type": "text", "text": problem["question"]}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
        inputs = processor(images=Image.open(path), text=prompt, return_tensors="pt")
        with torch.no_grad():
            output = model.generate(**inputs, do_sample=False, max_new_tokens=200)
        start = inputs["input_ids"].shape[1]
        generated = output[0, start:].tolist()
        lines.append(
            {
                "id": problem["id"],
                "question": problem["question"],
                "image": "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode(),
                "promptTokens": inputs["input_ids"][0].tolist(),
                "generatedTokens": generated,
                "text": processor.decode(generated, skip_special_tokens=True),
            }
        )
    golden.parent.mkdir(parents=True, exist_ok=True)
    golden.write_text(json.dumps(lines, indent=1) + "\n")


if __name__ == "__main__":
    main()
