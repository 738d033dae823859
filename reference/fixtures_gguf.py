"""Tiny random models of every family in GGUF as llama.cpp writes it, and one file of blocks of every type.

A family's folder holds model.gguf, config.json (transformers', in the 4.x style), expected.json (as fixtures_llama.py
describes it, with two prompts) and tensors.json: for each tensor by its Hugging Face name its shape, its GGUF type and
the first 16 digits of the SHA-256 of its float32 values as gguf-py dequantises them, in Hugging Face's row order.

Names come from gguf-py's own map, metadata and row orders from llama.cpp's conversion/*.py. gguf-py cannot quantise to
K-types and IQ4_NL: their blocks are random, with scales that give the weights the right size.
"""

import json
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type

from fixtures_common import sha256, write_json
from fixtures_llama import GREEDY, ODD, answers, greedy, permute, report, unpermute

CANDIDATES = 40
VOCAB = 131
CONTEXT = 256
LLAMA3 = ODD.rope


@dataclass
class Family:
    name: str  # of the folder
    arch: str  # general.architecture
    config: str  # transformers' class
    kinds: dict[str, Type]  # by module; "" for the rest
    hidden: int = 64
    head: int = 32
    ff: int = 32
    layers: int = 2
    tied: bool = True
    window: int | None = None
    rope: dict | None = None  # rope_parameters
    more: dict = field(default_factory=dict)  # of the config
    permuted: bool = False
    shift: float = 0.0  # what the converter adds to norms
    embed: float = 0.15  # size of the embedding's values
    final: float = 2.0  # mean of the last norm


FAMILIES = [
    Family("llama3", "llama", "LlamaConfig", {"q_proj": Type.Q4_0, "": Type.Q5_0, "embed_tokens": Type.Q8_0},
           rope=LLAMA3, more={"attention_bias": True, "mlp_bias": True}, permuted=True),
    Family("llama-linear", "llama", "LlamaConfig", {"v_proj": Type.F16, "down_proj": Type.BF16, "": Type.Q4_0},
           tied=False, rope={"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}, permuted=True),
    Family("mistral", "llama", "MistralConfig", {"": Type.IQ4_NL, "embed_tokens": Type.Q5_1}, window=9, permuted=True),
    Family("qwen2", "qwen2", "Qwen2Config", {"": Type.Q5_1, "embed_tokens": Type.F16}, tied=False,
           rope={"rope_type": "default", "rope_theta": 1e6}),
    Family("qwen3", "qwen3", "Qwen3Config", {"": Type.Q5_0, "q_proj": Type.IQ4_NL, "embed_tokens": Type.Q4_1},
           rope={"rope_type": "default", "rope_theta": 1e6}),
    Family("gemma", "gemma", "GemmaConfig", {"": Type.Q4_0, "embed_tokens": Type.Q8_0}, shift=1.0, embed=0.05,
           final=5.0),
    Family("gemma2", "gemma2", "Gemma2Config", {"": Type.Q5_1, "k_proj": Type.BF16, "embed_tokens": Type.Q5_0},
           window=9, shift=1.0, embed=0.03, final=8.0,
           more={"attn_logit_softcapping": 5.0, "final_logit_softcapping": 10.0, "query_pre_attn_scalar": 32}),
    Family("gemma3", "gemma3", "Gemma3TextConfig",
           {"q_proj": Type.Q4_K, "k_proj": Type.Q5_K, "v_proj": Type.Q6_K, "o_proj": Type.Q5_0, "gate_proj": Type.Q4_K,
            "up_proj": Type.Q6_K, "down_proj": Type.Q8_0, "embed_tokens": Type.Q6_K},
           hidden=256, window=9, shift=1.0, embed=0.01, final=12.0,
           rope={"full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
                 "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}},
           more={"query_pre_attn_scalar": 32, "sliding_window_pattern": 2}),
    Family("phi3", "phi3", "Phi3Config", {"qkv_proj": Type.Q4_0, "gate_up_proj": Type.Q5_0, "": Type.Q4_1},
           hidden=96, window=9, tied=False,
           rope={"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75,
                 "original_max_position_embeddings": 128, "short_factor": [1 + 0.125 * i for i in range(12)],
                 "long_factor": [2 + 0.5 * i for i in range(12)]}),
    Family("olmo2", "olmo2", "Olmo2Config", {"": Type.Q5_1, "gate_proj": Type.Q4_0}, hidden=96, tied=False,
           rope={"rope_type": "default", "rope_theta": 500000.0}),
    Family("granite", "granite", "GraniteConfig", {"": Type.Q8_0, "q_proj": Type.Q5_1}, hidden=96, permuted=True,
           embed=0.06, final=5.0,
           more={"embedding_multiplier": 6.0, "attention_multiplier": 0.125, "residual_multiplier": 0.75,
                 "logits_scaling": 1.5}),
    Family("smollm3", "smollm3", "SmolLM3Config", {"": Type.Q4_0, "up_proj": Type.Q5_0}, layers=4, permuted=True,
           rope={"rope_type": "default", "rope_theta": 2e6}),
]
HEADS, KV_HEADS = 3, 1
GAINS = {"q_proj": 1.4, "k_proj": 1.4, "qkv_proj": 1.45, "down_proj": 1.0}


def config_of(family: Family):
    wanted = {
        "vocab_size": VOCAB,
        "hidden_size": family.hidden,
        "intermediate_size": family.ff,
        "num_hidden_layers": family.layers,
        "num_attention_heads": 1,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6 if family.shift else 1e-5,
        "tie_word_embeddings": family.tied,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        **family.more,
    }
    if family.head != family.hidden // HEADS:
        wanted["head_dim"] = family.head
    if family.config in ("MistralConfig", "Gemma2Config", "Gemma3TextConfig", "Phi3Config"):
        wanted["sliding_window"] = family.window
    if family.rope:
        wanted["rope_parameters"] = json.loads(json.dumps(family.rope))
    if family.config == "Phi3Config":
        # Its check of the factors' count divides by the heads, so they cannot be set late.
        wanted["num_attention_heads"] = HEADS
        wanted["original_max_position_embeddings"] = family.rope["original_max_position_embeddings"]
    config = getattr(transformers, family.config)(**wanted)
    config.num_attention_heads = HEADS  # set late: the constructor wants hidden % heads == 0
    config.dtype = "float32"
    config._attn_implementation = "eager"
    return config


def config_json(config) -> dict:
    """As transformers 4.x wrote it: rope_theta and rope_scaling beside everything else."""
    out = json.loads(config.to_json_string())
    rope = out.pop("rope_parameters")
    local = rope.get("sliding_attention")
    rope = dict(rope.get("full_attention", rope))
    if local:
        out["rope_local_base_freq"] = local["rope_theta"]
    out["rope_theta"] = rope.pop("rope_theta")
    partial = rope.pop("partial_rotary_factor", 1.0)
    if partial != 1.0:
        out["partial_rotary_factor"] = partial
    out["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    return dict(sorted(out.items()))


# ---- weights --------------------------------------------------------------------------------------------------------


def half(values) -> np.ndarray:
    return np.asarray(values, dtype=np.float16).reshape(-1, 1).view(np.uint8)


def k_scales(sc: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Eight scales and eight minima of 6 bits in 12 bytes, as Q4_K and Q5_K have them."""
    first = sc[:, :4] | (sc[:, 4:] >> 4 << 6)
    second = m[:, :4] | (m[:, 4:] >> 4 << 6)
    third = (sc[:, 4:] & 15) | (m[:, 4:] & 15) << 4
    return np.concatenate([first, second, third], axis=1).astype(np.uint8)


def random_blocks(rng, kind: Type, rows: int, cols: int, size: float) -> np.ndarray:
    """Blocks whose codes are uniform and whose values have about the standard deviation `size`."""
    elements, _ = gguf.GGML_QUANT_SIZES[kind]
    n = rows * cols // elements
    wobble = rng.uniform(0.8, 1.2, n)

    def noise(count):
        return rng.integers(0, 256, (n, count), dtype=np.uint8)

    if kind == Type.IQ4_NL:
        parts = [half(rng.choice([-1, 1], n) * wobble * size / 72), noise(16)]
    elif kind == Type.Q6_K:
        sc = (rng.integers(64, 128, (n, 16)) * rng.choice([-1, 1], (n, 16))).astype(np.int8).view(np.uint8)
        parts = [noise(128), noise(64), sc, half(wobble * size / (18.5 * 96))]
    else:
        middle, spread, codes = (7.5, 4.6, 128) if kind == Type.Q4_K else (15.5, 9.2, 32 + 128)
        sc = rng.integers(32, 62, (n, 8))
        m = sc + rng.integers(-2, 3, (n, 8))
        d = wobble * size / (spread * 48)
        parts = [half(d), half(d * middle), k_scales(sc, np.clip(m, 0, 63)), noise(codes)]
    return np.concatenate(parts, axis=1).reshape(rows, -1)


def norm(rng, family: Family, name: str, size: int) -> np.ndarray:
    mean = family.final if name == "model.norm.weight" else 1.0
    return (mean * rng.uniform(0.5, 1.5, size)).astype(np.float32)


def tensor(rng, family: Family, name: str, shape) -> tuple[np.ndarray, Type, np.ndarray]:
    """What the file holds of a tensor, its type, and the float32 values of the Hugging Face model."""
    module = name.split(".")[-2]
    if len(shape) == 1:
        bias = name.endswith(".bias")
        stored = (0.2 * rng.standard_normal(shape[0])).astype(np.float32) if bias else norm(rng, family, name, shape[0])
        value = stored if bias else stored - np.float32(family.shift)
        heads = {"q_proj": HEADS, "k_proj": KV_HEADS}.get(module) if bias and family.permuted else None
        return (permute(stored[:, None], heads)[:, 0] if heads else stored), Type.F32, value
    rows, cols = shape
    embedding = module in ("embed_tokens", "lm_head")
    size = family.embed if embedding else GAINS.get(module, 1.5) / math.sqrt(cols)
    kinds = family.kinds
    kind = kinds.get("embed_tokens" if embedding else module, kinds.get("", Type.F32))
    heads = {"q_proj": HEADS, "k_proj": KV_HEADS}.get(module) if family.permuted else None
    if kind in (Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.IQ4_NL):
        data = random_blocks(rng, kind, rows, cols, size)
    else:
        w = rng.standard_normal((rows, cols)) * size
        if embedding:  # rows of unequal length: a heavier tail of logits, hence wider greedy margins
            w = w * np.exp(0.35 * rng.standard_normal((rows, 1)))
        data = gguf.quants.quantize(w.astype(np.float32), kind)
    value = gguf.quants.dequantize(data, kind).astype(np.float32).reshape(rows, cols)
    return data, kind, (unpermute(value, heads) if heads else value)


def rope_factors(family: Family) -> dict[str, np.ndarray]:
    """The tensors of divisors that llama.cpp's converter makes of rope_scaling."""
    rope = family.rope or {}
    if rope.get("rope_type") == "longrope":
        return {f"rope_factors_{k}.weight": np.float32(rope[f"{k}_factor"]) for k in ("long", "short")}
    if rope.get("rope_type") != "llama3":
        return {}
    frequencies = rope["rope_theta"] ** (-np.arange(0, family.head, 2) / family.head)
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * np.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    keep = np.clip((turns - low) / (high - low), 0, 1)
    return {"rope_freqs.weight": np.float32(1 / ((1 - keep) / rope["factor"] + keep))}


def metadata(w: gguf.GGUFWriter, family: Family, config) -> None:
    w.add_block_count(family.layers)
    w.add_context_length(CONTEXT)
    w.add_embedding_length(family.hidden)
    w.add_feed_forward_length(family.ff)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_layer_norm_rms_eps(config.rms_norm_eps)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    if "head_dim" in config_json(config):
        w.add_key_length(family.head)
        w.add_value_length(family.head)
    if family.permuted:
        w.add_vocab_size(VOCAB)
        w.add_rope_dimension_count(family.head)
    if family.window:
        w.add_sliding_window(family.window)
    rope = family.rope or {}
    rope = rope.get("full_attention", rope)
    if "rope_theta" in rope:
        w.add_rope_freq_base(rope["rope_theta"])
    if rope.get("rope_type") == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(rope["factor"])
    if family.arch == "phi3":
        original = rope["original_max_position_embeddings"]
        w.add_rope_dimension_count(int(rope["partial_rotary_factor"] * family.head))
        w.add_rope_scaling_orig_ctx_len(original)
        w.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(CONTEXT / original) / math.log(original)))
    more = family.more
    if family.arch == "gemma2":
        w.add_attn_logit_softcapping(more["attn_logit_softcapping"])
        w.add_final_logit_softcapping(more["final_logit_softcapping"])
    if family.arch == "gemma3":
        w.add_sliding_window_pattern(more["sliding_window_pattern"])
    if family.arch == "granite":
        w.add_attention_scale(more["attention_multiplier"])
        w.add_embedding_scale(more["embedding_multiplier"])
        w.add_residual_scale(more["residual_multiplier"])
        w.add_logit_scale(more["logits_scaling"])


def save(path: Path, arch: str, fill, tensors) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    w = gguf.GGUFWriter(path, arch)
    fill(w)
    for name, (data, kind) in tensors.items():
        w.add_tensor(name, data, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


# ---- what transformers says -----------------------------------------------------------------------------------------


def prompt(family: Family, model, length: int) -> list[int]:
    """Of CANDIDATES random prompts, the one whose greedy ids wander and stay certain for longest."""
    rng = np.random.default_rng([len(family.name), length])
    best, record = None, (-1, -1, -1.0)
    for _ in range(CANDIDATES):
        ids = [int(t) for t in rng.integers(3, VOCAB, length)]
        new, margins, scale = greedy(model, ids, GREEDY)
        unsure = [i for i, m in enumerate(margins) if m < 0.004 * scale]
        found = (min(len(set(new)), 6), min(unsure, default=GREEDY), min(margins))
        if found > record:
            best, record = ids, found
    return best


def make_family(folder: Path, family: Family) -> None:
    rng = np.random.default_rng([ord(c) for c in family.name])
    config = config_of(family)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    names = gguf.get_tensor_name_map(
        {v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[family.arch], family.layers
    )
    stored, state, digests = {}, {}, {}
    for name, shape in ((name, tuple(value.shape)) for name, value in model.state_dict().items()):
        if name == "lm_head.weight" and family.tied:
            continue
        data, kind, value = tensor(rng, family, name, shape)
        stored[names.get_name(name, try_suffixes=(".weight", ".bias"))] = (data, kind)
        state[name] = torch.from_numpy(np.ascontiguousarray(value))
        digests[name] = [[1, *shape][-2:], kind.name, sha256(state[name])[:16]]
    for name, factors in rope_factors(family).items():
        stored[name] = (factors, Type.F32)
    if family.tied:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state, strict=True)
    save(folder / "model.gguf", family.arch, lambda w: metadata(w, family, config), stored)
    write_json(folder / "config.json", config_json(config), indent=1)
    write_json(folder / "tensors.json", digests)
    prompts = [(prompt(family, model, length), positions) for length, positions in ((7, [0, 3, 6]), (40, [9, 25, 39]))]
    facts = answers(model, f"tiny-gguf-{family.name}", "gguf", VOCAB, prompts)
    write_json(folder / "expected.json", facts)
    report(facts)


# ---- blocks of every type -------------------------------------------------------------------------------------------

BLOCK_TYPES = ("Q4_0", "Q4_1", "Q4_K", "IQ4_NL", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0", "F16", "BF16", "F32")


def make_blocks(folder: Path) -> None:
    """Three rows of 512 columns of each type, all bytes random, so that every bit of a block counts; scales finite."""
    rng = np.random.default_rng(5)
    tensors, digests = {}, {}
    for i, name in enumerate(BLOCK_TYPES):
        kind = Type[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        data = rng.integers(0, 256, (3 * 512 // elements, size), dtype=np.uint8)
        halves = {"Q4_1": (0, 2), "Q4_K": (0, 2), "Q5_1": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}.get(name, (0,))
        for at in halves:
            high = {"BF16": 1, "F32": 3}.get(name, at + 1)
            data[:, high] &= 0xBF  # the top bit of the exponent: no infinity, no NaN
        data = data.reshape(3, -1)
        value = gguf.quants.dequantize(data, kind).astype(np.float32).reshape(3, 512)
        assert np.isfinite(value).all()
        tensors[f"blk.{i}.ffn_down.weight"] = (data, kind)
        digests[name] = sha256(torch.from_numpy(np.ascontiguousarray(value)))
    tensors["token_embd.weight"] = (np.zeros((5, 32), dtype=np.float32), Type.F32)

    def fill(w):
        w.add_block_count(len(BLOCK_TYPES))
        w.add_context_length(64)
        w.add_embedding_length(32)
        w.add_feed_forward_length(512)
        w.add_head_count(4)
        w.add_layer_norm_rms_eps(1e-5)

    save(folder / "blocks.gguf", "llama", fill, tensors)
    write_json(folder / "blocks.json", digests, indent=1)


def make(out: Path, only: str | None = None) -> None:
    """All of them, or the family `only`, or the file of all types of blocks, which is called so."""
    base = out / "tiny-gguf"
    if only in (None, "blocks"):
        make_blocks(base)
    for family in FAMILIES:
        if only in (None, family.name):
            shutil.rmtree(base / family.name, ignore_errors=True)
            make_family(base / family.name, family)
