"""The process reward model: the policy, two layers deeper, read at its Yes/No logits.

The policy's last layer holds, at each token, what it expects next. Judging a written token means
comparing it with the expectation at the token before, and that takes attention *above* the last
layer; hence the extra layers. They start as identities.
"""

import copy

import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from figmath_model import image_features
from prm_data import NEGATIVE, POSITIVE


def build_prm(policy_folder, extra_layers):
    """The policy's weights with `extra_layers` identity layers on top of its language model."""
    policy = LlavaForConditionalGeneration.from_pretrained(policy_folder, dtype=torch.float32)
    if extra_layers == 0:
        return policy
    config = LlavaConfig.from_dict(copy.deepcopy(policy.config.to_dict()))
    layers = config.text_config.num_hidden_layers
    config.text_config.num_hidden_layers = layers + extra_layers
    model = LlavaForConditionalGeneration(config)
    state = policy.state_dict()
    for extra in range(extra_layers):
        for name, tensor in policy.model.language_model.layers[layers - 1].state_dict().items():
            silent = name.endswith(("o_proj.weight", "down_proj.weight"))
            fresh = torch.zeros_like(tensor) if silent else tensor.clone()
            state[f"model.language_model.layers.{layers + extra}.{name}"] = fresh
    model.load_state_dict(state)
    model.generation_config = policy.generation_config
    return model


class Layout:
    """Where prompts and paths lie in a batch's packed tokens; what `path_attention` needs."""

    def __init__(self, segments):
        rows, width = segments.shape
        self.shared = (segments == 0).sum(1)
        places = []
        for row in range(rows):
            for number in range(1, int(segments[row].max()) + 1):
                places.append((segments[row] == number).nonzero()[:, 0] + row * width)
        self.row = torch.tensor([int(place[0]) // width for place in places])
        longest = max(len(place) for place in places)
        self.index = torch.stack([torch.nn.functional.pad(p, (0, longest - len(p)), value=-1) for p in places])
        self.valid = self.index.flatten() >= 0
        prompt = int(self.shared.max())
        seen = torch.arange(prompt)[None, :] < self.shared[self.row][:, None]
        own = torch.ones(longest, longest, dtype=torch.bool).tril()
        mask = torch.cat([seen[:, None].expand(-1, longest, -1), own.expand(len(places), -1, -1)], -1)
        self.mask = mask.unsqueeze(1)
        self.prompt = prompt


def path_attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, layout=None, **_):
    """Attention over packed tokens: a path's tokens see their prompt and themselves. Four times fewer
    products than a dense mask over the whole row. query, key, value [rows, heads, width, dim]."""
    attend = torch.nn.functional.scaled_dot_product_attention
    rows, heads, width, dim = query.shape
    prompt = [x[:, :, : layout.prompt] for x in (query, key, value)]
    out = query.new_zeros(rows, width, heads, dim)
    out[:, : layout.prompt] = attend(*prompt, is_causal=True, scale=scaling).transpose(1, 2)
    index = layout.index.clamp(min=0).flatten()
    q, k, v = (
        x.transpose(1, 2).reshape(rows * width, heads * dim).index_select(0, index)
        .view(*layout.index.shape, heads, dim).transpose(1, 2)
        for x in (query, key, value)
    )
    k, v = (torch.cat([p.index_select(0, layout.row), own], 2) for p, own in ((prompt[1], k), (prompt[2], v)))
    paths = attend(q, k, v, attn_mask=layout.mask, scale=scaling).transpose(1, 2).reshape(-1, heads * dim)
    out = out.view(rows * width, heads * dim).index_copy(0, index[layout.valid], paths[layout.valid])
    return out.view(rows, width, heads, dim), None


ALL_ATTENTION_FUNCTIONS.register("paths", path_attention)


def hidden_states(model, batch, features, before=2):
    """Last hidden states [rows, width, hidden]; `features` [rows, 64, hidden] are the pictures'."""
    embeds = model.get_input_embeddings()(batch["tokens"])
    embeds = torch.cat([embeds[:, :before], features, embeds[:, before + features.shape[1] :]], 1)
    text = model.model.language_model
    kept, text.config._attn_implementation = text.config._attn_implementation, "paths"
    # The four-dimensional mask is only there to keep the library from making one of its own.
    unused = embeds.new_zeros(len(embeds), 1, 1, 1)
    try:
        return text(
            inputs_embeds=embeds,
            attention_mask=unused,
            position_ids=batch["positions"],
            use_cache=False,
            layout=Layout(batch["segments"]),
        ).last_hidden_state
    finally:
        text.config._attn_implementation = kept


class Readout:
    """Scores and losses from hidden states."""

    def __init__(self, tokenizer):
        self.yes_no = [tokenizer.token_to_id(POSITIVE), tokenizer.token_to_id(NEGATIVE)]

    def step_logits(self, model, hidden, batch):
        """logit(Yes) - logit(No) at every marker [n]; its sigmoid is the step's score."""
        return self.logits_at(model, hidden, batch["marks"])

    def logits_at(self, model, hidden, places):
        rows, columns = places.T
        yes, no = model.lm_head.weight[self.yes_no]
        return hidden[rows, columns] @ (yes - no)

    @staticmethod
    def language_loss(model, hidden, batch):
        if len(batch["written"]) == 0:
            return hidden.sum() * 0
        rows, columns, targets = batch["written"].T
        return torch.nn.functional.cross_entropy(model.lm_head(hidden[rows, columns]), targets, batch["worth"])


@torch.no_grad()
def picture_features(model, pictures, batch=64):
    """float16 [n, 64, hidden] of image files, by the frozen tower and projector."""
    from PIL import Image

    import numpy as np

    out = []
    for start in range(0, len(pictures), batch):
        pixels = np.stack([np.asarray(Image.open(p).convert("RGB")) for p in pictures[start : start + batch]])
        side = model.config.vision_config.image_size
        if pixels.shape[1] != side:
            step = pixels.shape[1] // side
            pixels = pixels[:, step // 2 :: step, step // 2 :: step]
        values = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        out.append(image_features(model, values).half())
    return torch.cat(out)
