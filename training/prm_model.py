"""The process reward model: the policy, two layers deeper, read at its Yes/No logits.

The policy's last layer holds, at each token, what it expects next. Judging a written token means
comparing it with the expectation at the token before, and that takes attention *above* the last
layer; hence the extra layers. They start as identities.
"""

import copy

import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration

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


def attention_mask(segments):
    """[rows, 1, width, width], 0 where a token is seen: the prompt and the own path, not later."""
    own = segments[:, :, None] == segments[:, None, :]
    seen = (own | (segments[:, None, :] == 0)) & torch.ones(own.shape[1:], dtype=torch.bool).tril()
    return torch.where(seen, 0.0, torch.finfo(torch.float32).min).unsqueeze(1)


def hidden_states(model, batch, features, before=2):
    """Last hidden states [rows, width, hidden]; `features` [rows, 64, hidden] are the pictures'."""
    embeds = model.get_input_embeddings()(batch["tokens"])
    embeds = torch.cat([embeds[:, :before], features, embeds[:, before + features.shape[1] :]], 1)
    return model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=attention_mask(batch["segments"]),
        position_ids=batch["positions"],
        use_cache=False,
    ).last_hidden_state


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
