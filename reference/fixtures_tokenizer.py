"""Tokenizers: a byte-level BPE for the tiny models, and SmolLM2's own with ids for forty nasty strings."""

import json
from functools import cache
from pathlib import Path

import gguf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from fixtures_common import write_json

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' "
    "+ '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CORPUS = [
    "The quick brown fox jumps over the lazy dog while the other dogs are sleeping in the sun.",
    "There is nothing in the world that is more interesting than the thing that you are looking for.",
    "When the rain came down on the river, the men and the women went inside and waited for the morning.",
    "She said that the answer was in the book, and he said that the book was on the table in the hall.",
    "You are a helpful assistant. Answer the question as well as you can, and say so when you are not sure.",
]


# ---- the tiny models' tokenizer -------------------------------------------------------------------------------------


@cache
def train(size: int, digits: bool) -> Tokenizer:
    """A byte-level BPE of exactly `size` tokens: the special ones, 256 bytes, merges of CORPUS."""
    tok = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    split = pre_tokenizers.Digits(individual_digits=True)
    tok.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level]) if digits else byte_level
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(t, special=True, normalized=False) for t in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tok.train_from_iterator(CORPUS, trainer)
    assert tok.get_vocab_size() == size and [tok.token_to_id(t) for t in SPECIAL] == [0, 1, 2]
    return tok


def small_vocabulary(size: int):
    """`(tokens by id, merges)` for a GGUF whose pre-tokenizer is "smollm" (single digits, then ByteLevel)."""
    model = json.loads(train(size, True).to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    return tokens, [" ".join(pair) for pair in model["merges"]]


def small(size: int, context: int) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=train(size, False),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        chat_template=CHATML,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def save_small(folder: Path, size: int, context: int) -> PreTrainedTokenizerFast:
    """tokenizer.json, tokenizer_config.json and generation_config.json as a chat model has them."""
    tokenizer = small(size, context)
    write_json(folder / "tokenizer.json", json.loads(train(size, False).to_str()), indent=2)
    write_json(folder / "tokenizer_config.json", {
        "added_tokens_decoder": {
            str(i): {
                "content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                "special": True,
            }
            for i, t in enumerate(SPECIAL)
        },
        "bos_token": "<|im_start|>",
        "chat_template": CHATML,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "model_max_length": context,
        "pad_token": "<|im_end|>",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<|endoftext|>",
    }, indent=2)
    write_json(folder / "generation_config.json", {
        "bos_token_id": 1, "do_sample": False, "eos_token_id": [2], "pad_token_id": 2,
    }, indent=2)
    return tokenizer


# ---- SmolLM2 --------------------------------------------------------------------------------------------------------

STRINGS = [
    "",
    " ",
    "   ",
    "\n",
    "\n\n\n",
    "\t\t x",
    "\r\n",
    "line one\r\nline two\r\n\r\nline four\n",
    "Hello, world!",
    " leading space",
    "trailing space ",
    "  two leading, two trailing  ",
    "a  b   c    d",
    "one \n two\n  three \n\n",
    "1234567890",
    "In 1984, 3.14159 and 1,000,000 were £2.50; v1.2.3-rc4 at 10:45:09",
    "x1y22z333 4444",
    "\u0663\u0664 \u00bd \u00b2 \u2167",
    "\u0661\u0662\u0663abc\u0967\u0968 \u2460\u2461 \uff11\uff12",
    "don't I'll we've they're he'd it's I'm DON'T 'S 's'",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family",
    "\U0001f44d\U0001f3fd\U0001f1eb\U0001f1f7\u2764\ufe0f ok",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u79c1\u306f\u5b66\u751f\u3067\u3059\u3002\ud55c\uad6d\uc5b4",
    "cafe\u0301 caf\u00e9 n\u0303 \u00f1 Z\u0351\u036b\u0343a\u0301lgo",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u0928\u092e\u0938\u094d\u0924\u0947",
    "non\u00a0breaking\u2003em\u3000ideographic\u200bzero\u2028line",
    "\ufeffbom and \u0000 nul and \u007f del and \u0085 nel",
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>",
    "a<|endoftext|>b <|endoftext|> c",
    "<|im_start|system|> <im_end> <|IM_END|> <| im_end |>",
    "<|im_end<|im_end|>|>",
    "<repo_name>x<filename>y<reponame>z<empty_output>",
    "def f(x):\n    return x**2 + 1  # square\n\n\tif x >= 10: print(f\"{x!r}\")\n",
    "for (let i = 0; i < n; ++i) { a[i] ??= b?.[i] ?? `${i}`; } // =>",
    "https://example.org/a/b?c=d&e=%20f#g me@example.org C:\\dir\\file.txt",
    "Donaudampfschifffahrtselektrizit\u00e4tenhauptbetriebswerkbauunterbeamtengesellschaft" * 3,
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "!!!???...---===***///",
    "\u201cquotes\u201d \u2018single\u2019 \u2013 en \u2014 em \u2026 \u20ac \u00a9 \u2122",
    "\u2202f/\u2202x = \u222b\u2080^\u221e e^(\u2212x\u00b2) dx \u2248 \u221a\u03c0/2 \U0001d4d7",
    "\ud7a3\uffff\U0010ffff\U0001f9ff\u00c0\u00fc\u0300",
    "bytes the vocabulary lacks: a\u0004b\u0006 \u0014c \U00050000d",
]


def missing_bytes(vocab) -> list[int]:
    """The bytes whose ByteLevel character is no token; encoding drops them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]  # ByteLevel writes these as themselves,
    others = [b for b in range(256) if b not in printable]  # and the others as U+0100, U+0101, ...
    chars = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    assert set(chars.values()) == set(pre_tokenizers.ByteLevel.alphabet())
    return [b for b in range(256) if chars[b] not in vocab]


def smollm2(path: Path, special: bool):
    """SmolLM2's tokenizer as published: vocabulary, merges and special tokens from its GGUF, the rest by definition."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    types = fields["tokenizer.ggml.token_type"].contents()
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tok.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, types) if kind == gguf.TokenType.CONTROL]
    if special:
        tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
        assert tok.get_vocab_size() == len(tokens)
    return tok, control, fields["tokenizer.chat_template"].contents()


def make(out: Path, smollm2_gguf: Path):
    with_special, control, template = smollm2(smollm2_gguf, True)
    plain, _, _ = smollm2(smollm2_gguf, False)
    cases = []
    for text in STRINGS:
        ids = with_special.encode(text, add_special_tokens=False).ids
        as_text = plain.encode(text, add_special_tokens=False).ids
        case = {"text": text, "ids": ids, "idsAsText": as_text}
        back = with_special.decode(ids, skip_special_tokens=False)
        if back != text:  # the vocabulary lacks some bytes; those vanish in encoding
            case["decoded"] = back
        cases.append(case)
    chat = PreTrainedTokenizerFast(tokenizer_object=with_special, chat_template=template)
    chats = []
    for messages in (
        [{"role": "user", "content": "What is the capital of France?"}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
         {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "2 + 2?"}],
    ):
        text = chat.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        chats.append({"messages": messages, "text": text, "ids": with_special.encode(text).ids})
    vocab = with_special.get_vocab(with_added_tokens=True)
    write_json(out / "tokenizer" / "smollm2.json", {
        "format": "nibble-tokenizer-cases-1",
        "source": "SmolLM2-135M-Instruct; ids by Rust tokenizers, add_special_tokens=False",
        "special": {t: vocab[t] for t in control},
        "missingBytes": missing_bytes(vocab),
        "chatTemplate": template,
        "cases": cases,
        "chats": chats,
    }, indent=1)
    print(f"tokenizer/smollm2.json: {len(cases)} strings")
