"""Small random BPEs and what Rust's `tokenizers` makes of random words: tokenizer/merges.json.

    python fixtures_bpe.py [HOW_MANY]    # 40; more go to the standard output, for a comparison that is not kept

Every option of the model is drawn: unknown characters (fused or not), bytes in their place (all of them or some), whole
words before merges, an ending of words, two merges of the same pair, tokens that merges never make.
"""

import json
import random
import sys
from pathlib import Path

from tokenizers import Tokenizer

FORMAT = "nibble-merges-1"
ALPHABETS = ["ab", "abc", "ab▁", "abé€😀", "abcdefgh▁"]


def tokens_of(rng: random.Random, alphabet: str, merges: int):
    """Characters, and tokens that are two others; the merges in random order, so that later ones may come first."""
    tokens = list(alphabet)
    pairs = []
    for _ in range(merges):
        left, right = rng.choice(tokens), rng.choice(tokens)
        if len(left + right) > 12:
            continue
        if left + right not in tokens:
            tokens.append(left + right)
        pairs.append([left, right])
        if rng.random() < 0.1:
            pairs.append([left, right])
    rng.shuffle(pairs)
    return tokens, pairs


def model_of(rng: random.Random):
    alphabet = rng.choice(ALPHABETS)
    tokens, merges = tokens_of(rng, alphabet, rng.choice([3, 8, 20, 60]))
    tokens += [t for t in ("".join(rng.choices(alphabet, k=4)) for _ in range(3)) if t not in tokens]
    suffix = rng.choice([None, None, None, "</w>"])
    if suffix:
        tokens += [c + suffix for c in alphabet if rng.random() < 0.7]
        ends = [t for t in tokens if t.endswith(suffix)]
        for right in ends[:3]:
            left = rng.choice(alphabet)
            tokens.append(left + right)
            merges.append([left, right])
    fallback = rng.random() < 0.4
    if fallback:
        dropped = rng.choice([[], [0x78], [0xE2, 0x79]])
        tokens += [f"<0x{b:02X}>" for b in range(256) if b not in dropped]
        merges.append(["<0xC3>", "<0xA9>"])
        tokens.append("<0xC3><0xA9>")
    unknown = rng.choice([None, "<unk>"])
    if unknown:
        tokens.append(unknown)
        if rng.random() < 0.3:
            merges.append([unknown, alphabet[0]])
            tokens.append(unknown + alphabet[0])
    tokens = list(dict.fromkeys(tokens))
    rng.shuffle(tokens)
    return alphabet, {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": suffix,
        "fuse_unk": rng.random() < 0.5,
        "byte_fallback": fallback,
        "ignore_merges": rng.random() < 0.3,
        "vocab": {t: i for i, t in enumerate(tokens)},
        "merges": merges,
    }


def case(seed: int):
    rng = random.Random(seed)
    alphabet, model = model_of(rng)
    letters = alphabet * 4 + rng.choice(["", "xy", "xyü"])
    lengths = [1, 2, 3, 5, 8, 13, 21, 34, 55, 90]
    words = ["".join(rng.choices(letters, k=n)) for n in lengths for _ in range(2)] + [alphabet[0] * 40]
    tokenizer = Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model,
    }))
    return {"model": model, "words": words, "ids": [tokenizer.encode(w, add_special_tokens=False).ids for w in words]}


def main():
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    cases = [case(seed) for seed in range(many or 40)]
    text = json.dumps({"format": FORMAT, "cases": cases}, ensure_ascii=False, separators=(",", ":")) + "\n"
    if many:
        sys.stdout.write(text)
    else:
        Path(__file__).parent.joinpath("fixtures/tokenizer/merges.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
