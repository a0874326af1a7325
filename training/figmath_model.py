"""The policy: a small SigLIP tower, an MLP projector and a small Llama, as one LLaVA."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import (
    DynamicCache,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    SiglipVisionConfig,
)

from figmath_tokenizer import IMAGE_TOKENS, NAMES, name_forms, save_tokenizer

WIDTH = 128
HEADS = 4  # of 32, the smallest head that common GPU kernels take


def build_model(tokenizer):
    vision = SiglipVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=HEADS,
        image_size=80,
        patch_size=10,
        vision_use_head=False,
        hidden_act="gelu_pytorch_tanh",
    )
    end = tokenizer.token_to_id("<|im_end|>")
    pad = tokenizer.token_to_id("<|pad|>")
    text = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.05,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.token_to_id("<image>"),
        image_seq_length=IMAGE_TOKENS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        projector_hidden_act="gelu",
        tie_word_embeddings=True,
        eos_token_id=end,
        pad_token_id=pad,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = pad
    model.generation_config.bos_token_id = None
    # With the usual 0.02 the tower needs long to tell places apart, and never looks in the meantime.
    torch.nn.init.normal_(model.model.vision_tower.embeddings.position_embedding.weight, std=0.5)
    return model


class Codebook(torch.nn.Module):
    """Frozen orthonormal vectors: one per name, tens digit and ones digit.

    The vision side learns to output at each patch the sum of the vectors of what stands there, while
    the language side learns, at the same time on another core, to look facts up in such sums. Put
    together they fit from the first step: no blind phase in which language learns not to look.
    A name has one vector, whether it owns a row, a column or a bar, and its text tokens start as
    that vector too (`start_matching`).
    """

    def __init__(self, meta, width=WIDTH, seed=5):
        super().__init__()
        names = list(NAMES)
        vectors = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(seed)))[0]
        self.size = len(names) + 20
        self.register_buffer("vectors", vectors[: self.size].contiguous())
        self.names = names

        def rows(plane_names):
            # Class 0, "nothing", has no vector: it points past the last one.
            return torch.tensor([self.size] + [names.index(name) for name in plane_names[1:]])

        digits = torch.arange(10)
        self.planes = [
            rows(meta["ownerNames"]),
            rows(meta["subOwnerNames"]),
            torch.cat([torch.tensor([self.size]), len(names) + digits]),
            torch.cat([torch.tensor([self.size]), len(names) + 10 + digits]),
        ]

    def vector_of_name(self, name):
        return self.vectors[self.names.index(name)]

    def vector_of_digit(self, digit):
        return self.vectors[len(self.names) + 10 + digit]

    def targets(self, labels):
        """labels int64 [n, 4, patches], 255 = unknown -> float [n, patches, size] of 0 and 1"""
        known = torch.where(labels == 255, 0, labels)
        out = torch.zeros(len(labels), labels.shape[2], self.size + 1, device=labels.device)
        for plane, rows in enumerate(self.planes):
            out.scatter_(2, rows.to(labels.device)[known[:, plane]].unsqueeze(-1), 1.0)
        return out[..., : self.size]

    def embed(self, labels):
        """[n, patches, width]; unknown counts as nothing."""
        return self.targets(labels) @ self.vectors

    def loss(self, features, labels):
        """Which vectors are in each patch's sum (logistic), and the sum itself (squared distance);
        patches where nothing stands weigh a tenth, unknown ones nothing."""
        targets = self.targets(labels)
        owner = labels[:, 0]
        weight = torch.where(owner == 255, 0.0, torch.where(owner == 0, 0.1, 1.0))
        logits = 10 * (features @ self.vectors.T - 0.5)
        each = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(-1)
        distance = ((features - targets @ self.vectors) ** 2).sum(-1)
        return ((each + distance) * weight).sum() / weight.sum()

    @torch.no_grad()
    def accuracy(self, features, labels):
        """Share of item patches whose vectors are all right, per figure [n]."""
        right = ((features @ self.vectors.T > 0.5) == (self.targets(labels) > 0.5)).all(-1)
        item = (labels[:, 0] > 0) & (labels[:, 0] != 255)
        return (right & item).sum(1) / item.sum(1)


@torch.no_grad()
def start_matching(model, tokenizer, codebook):
    """Starts the language model with attention that looks for what it already holds.

    Name and digit tokens get the vectors that pictures use for the same thing, keys start equal to
    queries and output projections as the transposes of value projections: equal contents attend to
    each other and are copied, in every head, before anything is learned. From independent random
    weights the look-ups stayed at chance for thousands of steps (LOG.md).
    """
    table = model.get_input_embeddings().weight
    known = [(form, codebook.vector_of_name(name)) for name in NAMES for form in name_forms(name)]
    known += [(str(digit), codebook.vector_of_digit(digit)) for digit in range(10)]
    for text, vector in known:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if len(ids) == 1:
            table[ids[0]] = 0.5 * table[ids[0]] + 0.6 * vector
    for layer in model.model.language_model.layers:
        attention = layer.self_attn
        torch.nn.init.normal_(attention.q_proj.weight, std=0.08)
        attention.k_proj.weight.copy_(attention.q_proj.weight)
        attention.o_proj.weight.copy_(attention.v_proj.weight.T)


def image_features(model, pixel_values):
    """[n, 64, width] as the language model gets it."""
    output = model.model.get_image_features(pixel_values=pixel_values, return_dict=True)
    return torch.stack(list(output.pooler_output))


def prefix_cache(model, tokenizer, features):
    """KV of the prompt up to and including the picture, once per picture."""
    before = torch.tensor(tokenizer.encode("<|im_start|>user\n", add_special_tokens=False).ids)
    table = model.get_input_embeddings()
    embedded = table(before.to(features.device)).expand(len(features), -1, -1)
    cache = DynamicCache()
    model.model.language_model(
        inputs_embeds=torch.cat([embedded, features], 1), past_key_values=cache, use_cache=True
    )
    return cache


def select_rows(cache, rows):
    """A new cache that holds the given rows of another, differentiably."""
    chosen = DynamicCache()
    for index, layer in enumerate(cache.layers):
        chosen.update(layer.keys[rows], layer.values[rows], index)
    return chosen


def segment_logits(model, cache, tokens, mask):
    """Logits of texts that follow cached pictures; row r belongs to the cache's row r."""
    past = cache.get_seq_length()
    positions = (past + torch.arange(tokens.shape[1], device=tokens.device)).expand(len(tokens), -1)
    full = torch.cat([mask.new_ones(len(tokens), past), mask], 1)
    hidden = model.model.language_model(
        input_ids=tokens, attention_mask=full, position_ids=positions, past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return model.lm_head(hidden)


def language_loss(logits, tokens, weights):
    picked = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    weights = weights[:, 1:].flatten()
    return (picked * weights).sum() / weights.sum()


def save_policy(model, tokenizer, folder):
    """A folder that AutoModelForImageTextToText and AutoProcessor load."""
    folder = Path(folder)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    preprocessor = {
        "image_processor_type": "SiglipImageProcessor",
        "processor_class": "LlavaProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": 80, "width": 80},
        "resample": 0,  # nearest: whole-pixel enlargements come back exactly
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    processor = {
        "processor_class": "LlavaProcessor",
        "patch_size": 10,
        "vision_feature_select_strategy": "full",
        "image_token": "<image>",
        "num_additional_image_tokens": 0,
    }
    (folder / "processor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
