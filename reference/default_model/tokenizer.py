"""tokenizer.json and tokenizer_config.json from a GGUF's vocabulary, merges and chat template.

The GGUF names its pre-tokenizer `smollm`: every number character alone, then byte-level. The first
half is written as a Split on \\p{N} instead of the original's Digits rule, which @huggingface/tokenizers
reads wrongly for characters such as U+0663 and U+00BD; Rust's tokenizers treats the two alike.
"""

import json

from tokenizers import Tokenizer, decoders, pre_tokenizers

CONTROL, USER_DEFINED = 3, 4  # llama.cpp's token types


def build_tokenizer_json(metadata: dict) -> dict:
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    added = [
        {
            "id": index,
            "content": tokens[index],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, kind in enumerate(types)
        if kind in (CONTROL, USER_DEFINED)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Split", "pattern": {"Regex": r"\p{N}"}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": list(metadata["tokenizer.ggml.merges"]),
        },
    }


def build_tokenizer_config(metadata: dict) -> dict:
    tokens = metadata["tokenizer.ggml.tokens"]
    specials = build_tokenizer_json(metadata)["added_tokens"]
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(entry["id"]): {key: entry[key] for key in entry if key != "id"} for entry in specials
        },
        "additional_special_tokens": [tokens[1], tokens[2]],
        "bos_token": tokens[metadata["tokenizer.ggml.bos_token_id"]],
        "chat_template": metadata["tokenizer.chat_template"],
        "clean_up_tokenization_spaces": False,
        "eos_token": tokens[metadata["tokenizer.ggml.eos_token_id"]],
        "model_max_length": metadata["llama.context_length"],
        "pad_token": tokens[metadata["tokenizer.ggml.padding_token_id"]],
        # SmolLM2's own file says GPT2Tokenizer, which transformers 5 rebuilds without the digit rule.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": tokens[metadata["tokenizer.ggml.unknown_token_id"]],
        "vocab_size": len(tokens),
    }


def load_tokenizer(metadata: dict) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(build_tokenizer_json(metadata), ensure_ascii=False))


def original_tokenizer(metadata: dict) -> Tokenizer:
    """The same vocabulary with the pre-tokenizer as SmolLM2's own repository defines it: the oracle."""
    tokenizer = load_tokenizer(metadata)
    digits = pre_tokenizers.Digits(individual_digits=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


NASTY = [
    "1234 5,678.90 and ٣٤ ½ ² Ⅷ ①②③",
    "don't we'll I'm 'S it’s",
    "  leading   and trailing  \n\n\t tabs\r\n",
    "héllo wörld naïve Straße ẞ ﬁ",
    "日本語のテキスト 中文字符 한국어 ไทย",
    "👩‍👩‍👧‍👦 🇬🇧 🏳️‍🌈 👍🏽",
    "a\u0301 e\u0308 \u200b\u200d\ufeff zero widths",
    "<|im_start|>user\nhi<|im_end|>\n<|endoftext|>",
    "<|im_start|> <|im_ start|> <|im_end",
    "def f(x):\n    return x**2  # 3rd_power\n",
    "http://example.com/a?b=1&c=%20#frag",
    "x1y22z333 v1.2.3-rc4 0x1F 1e-05",
    "\x00\x01\x7f\x85\xa0 controls",
    "ΑΒΓ абв אבג ابت हिन्दी",
    "…—“quotes”‘single’ ¿¡ €£¥",
]


def check_tokenizer(metadata: dict, texts: list[str]) -> None:
    """Raises where our pre-tokenizer and the original one give different ids."""
    ours, original = load_tokenizer(metadata), original_tokenizer(metadata)
    for text in texts:
        if ours.encode(text).ids != original.encode(text).ids:
            raise AssertionError(f"tokenizer differs from the original on {text[:60]!r}")
        if ours.decode(ours.encode(text).ids, skip_special_tokens=False) != text:
            raise AssertionError(f"tokenizer does not round-trip {text[:60]!r}")
