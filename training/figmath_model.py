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

from figmath_tokenizer import CHAT_TEMPLATE, IMAGE_TOKENS, save_tokenizer

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
    """Frozen orthonormal vectors, one per class of each label plane.

    The vision side learns to output at each patch the sum of its labels' vectors, while the
    language side learns, at the same time on another core, to look up facts in such sums. Put
    together they fit from the first step: no blind phase in which language learns not to look.
    """

    def __init__(self, classes, width=WIDTH, seed=5):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        basis, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
        self.classes = list(classes)
        if sum(self.classes) > width:
            raise ValueError(f"{sum(self.classes)} classes do not fit in {width} dimensions")
        self.register_buffer("vectors", basis[: sum(self.classes)].contiguous())

    def embed(self, labels):
        """labels int64 [n, 4, patches] -> [n, patches, width]; 255 counts as nothing."""
        offsets = torch.tensor([sum(self.classes[:i]) for i in range(4)], device=labels.device)
        known = torch.where(labels == 255, 0, labels) + offsets[None, :, None]
        return self.vectors[known].sum(1)

    def loss(self, features, labels):
        """Cross-entropy per plane at the patches where something stands, and a little elsewhere."""
        logits = 10 * features @ self.vectors.T
        total = features.new_zeros(())
        start = 0
        for plane, size in enumerate(self.classes):
            part = logits[..., start : start + size].flatten(0, 1)
            start += size
            wanted = labels[:, plane].flatten()
            weight = torch.where(wanted == 255, 0.0, torch.where(labels[:, 0].flatten() == 0, 0.1, 1.0))
            each = F.cross_entropy(part, torch.where(wanted == 255, 0, wanted), reduction="none")
            total = total + (each * weight).sum() / weight.sum()
        keep = (labels[:, 0] != 255).unsqueeze(-1)
        distance = ((features - self.embed(labels)) ** 2 * keep).sum(-1).mean()
        return total + distance

    @torch.no_grad()
    def accuracy(self, features, labels):
        """Share of item patches at which all four planes are right, per row [n]."""
        logits = features @ self.vectors.T
        right, start = True, 0
        for plane, size in enumerate(self.classes):
            right = right & (logits[..., start : start + size].argmax(-1) == labels[:, plane])
            start += size
        item = (labels[:, 0] > 0) & (labels[:, 0] != 255)
        return (right & item).sum(1) / item.sum(1)


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
