"""The policy's tokenizer: byte-level BPE in which every digit and every blank line is one token."""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

IMAGE = "<image>"
IMAGE_TOKENS = 64
VOCABULARY = 640
SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>", IMAGE, "<prm>"]

# A blank line first, so that "\n\n" is one piece both at the end of a prefix and inside a text:
# continuing after k steps then sees the very tokens of a whole solution.
# A name keeps its equals sign ("B="), so that what has to be looked up stands in the very token
# that asks for it.
PIECES = r"\n\n|\p{N}| ?\p{L}+=?| ?[^\s\p{L}\p{N}]+|\s"

CHAT_TEMPLATE = """{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' or part['type'] == 'image_url' -%}{{- '<image>' -}}{%- endif -%}
{%- endfor -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


# Everything that owns a value in a figure.
NAMES = (*"ABCDEFGHPQRSTU", "width", "height", "base", "left", "right")
NAMES += ("red", "blue", "green", "orange", "purple", "circle", "square", "triangle")


def name_forms(name):
    """The single tokens that mean this name."""
    if name in ("circle", "square", "triangle"):
        return [f"{space}{name}{end}" for space in ("", " ") for end in ("", "s", "s=")]
    return [name, f" {name}", f"{name}=", f" {name}="]


def chat_prefix():
    """What stands before every question, the same for all problems but for the picture."""
    return "<|im_start|>user\n" + IMAGE * IMAGE_TOKENS


def chat_prompt_tail(question):
    return f"{question}<|im_end|>\n<|im_start|>assistant\n"


def chat_segment(question, solution):
    """What follows the prefix: question and solution."""
    return f"{chat_prompt_tail(question)}{solution}<|im_end|>"


def train_tokenizer(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # The words that a reward model trained from this policy will answer with, and the chat roles,
    # are made frequent enough to be single tokens.
    reserved = ["user\n", "assistant\n", "system\n", "\n\n", "Yes", "No", "Yes No Yes No"]
    for name in NAMES:
        reserved += name_forms(name)
    reserved *= len(texts)
    tokenizer.train_from_iterator(texts + reserved, trainer)
    return tokenizer


def save_tokenizer(tokenizer, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "LlavaProcessor",
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|pad|>",
        "image_token": IMAGE,
        "model_max_length": 512,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
