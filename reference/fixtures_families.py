"""Tiny random models of every family that Nibble knows, and what transformers makes of them in float32.

Shapes that hurt: heads that are not hidden / heads wide, three query heads a KV head, a vocabulary that is a multiple of
nothing, windows shorter than the prompts. Each model is written three times: bf16, NF4, and NF4 with double-quantised
absmax; the logits are those of code * absmax in f32 (bf16 widened to f32). expected.json is as in fixtures_llama.py,
which see; prompts of 1, 7 and 40 ids, so that LongRoPE's two sets of factors are both seen (its limit is 39).
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers

from fixtures_common import bf16, write_json
from fixtures_llama import GREEDY, answers, greedy, is_linear, quantization_config, quantized, save_model

VOCAB = 107
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
LINEAR_ROPE = {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "partial_rotary_factor": 0.75,
    "short_factor": [1.0, 1.1, 1.2, 1.5, 1.9, 2.5],
    "long_factor": [1.3, 2.0, 3.5, 6.0, 9.0, 15.0],
    "original_max_position_embeddings": 39,
}
# name: (transformers' config class, what differs from SIZES). Append new ones: a model's place here seeds its weights.
FAMILIES = {
    "gemma": ("GemmaConfig", {"head_dim": 24, "num_attention_heads": 3, "num_key_value_heads": 1}),
    "gemma2": ("Gemma2Config", {
        "sliding_window": 9, "query_pre_attn_scalar": 20, "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 12.0, "num_hidden_layers": 3}),
    "gemma3": ("Gemma3TextConfig", {
        "sliding_window": 9, "query_pre_attn_scalar": 20, "num_hidden_layers": 3, "head_dim": 24,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        "rope_parameters": {
            "full_attention": LINEAR_ROPE, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}}),
    "granite": ("GraniteConfig", {
        "embedding_multiplier": 3.0, "residual_multiplier": 0.4, "attention_multiplier": 0.2, "logits_scaling": 0.7}),
    "llama": ("LlamaConfig", {"attention_bias": True, "mlp_bias": True, "rms_norm_eps": 1e-5}),
    "mistral": ("MistralConfig", {"sliding_window": 9}),
    "olmo2": ("Olmo2Config", {}),
    "phi3": ("Phi3Config", {"sliding_window": 9, "rms_norm_eps": 1e-5}),
    "phi4-mini": ("Phi3Config", {"tie_word_embeddings": True, "original_max_position_embeddings": 39, "rope_parameters": LONG}),
    "qwen2": ("Qwen2Config", {
        "tie_word_embeddings": True, "use_sliding_window": True, "sliding_window": 11, "max_window_layers": 1}),
    "qwen3": ("Qwen3Config", {"tie_word_embeddings": True, "head_dim": 24}),
    "smollm3": ("SmolLM3Config", {"num_hidden_layers": 3, "no_rope_layers": [1, 0, 1]}),
}
VARIANTS = ("bf16", "nf4", "nf4-dq")
OTHERS = ("nf4-blocks-of-128", "nf4-stored-as-bf16", "fp4", "fp4-dq", "int8")  # of one family
GEMMA = ("gemma", "gemma2", "gemma3")
# phi3's heads are hidden / heads wide, whatever head_dim says
NO_HEAD_DIM = {"phi3": {"hidden_size": 96}, "phi4-mini": {"hidden_size": 96}}


def config_of(name: str):
    kind, more = FAMILIES[name]
    sizes = {**SIZES, **NO_HEAD_DIM.get(name, {}), **more}
    heads = sizes.pop("num_attention_heads")
    fits = sizes["hidden_size"] % heads == 0
    config = getattr(transformers, kind)(**sizes, num_attention_heads=heads if fits else sizes["num_key_value_heads"])
    config.num_attention_heads = heads  # set late: some constructors want hidden % heads == 0
    return config


def model_of(config):
    config._attn_implementation = "eager"
    return transformers.AutoModelForCausalLM.from_config(config).float().eval()


def weights(name: str) -> dict[str, torch.Tensor]:
    """bf16 tensors under their HF names, scaled so that logits spread and attention is neither flat nor one-hot."""
    rng = np.random.default_rng(list(FAMILIES).index(name))
    config = config_of(name)
    out = {}
    for key, tensor in model_of(config).state_dict().items():
        shape = tuple(tensor.shape)
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if key.endswith("bias"):
            values = 0.3 * rng.standard_normal(shape)
        elif len(shape) == 1:
            values = rng.uniform(0.5, 1.5, shape) - (1.0 if name in GEMMA else 0.0)
        elif "embed_tokens" in key or "lm_head" in key:
            length = np.exp(0.35 * rng.standard_normal((shape[0], 1)))
            scale = 0.15 / np.sqrt(shape[1]) if name in GEMMA and "embed" in key else 0.15
            values = rng.standard_normal(shape) * length * scale
        else:
            values = rng.standard_normal(shape) * 1.5 / np.sqrt(shape[1])
        out[key] = bf16(values)
    return out


def scheme_of(variant: str):
    linear = lambda key: is_linear(key) or key.split(".")[-2] in ("qkv_proj", "gate_up_proj")  # noqa: E731
    if variant == "bf16":
        return lambda key: "keep"
    return lambda key: variant if linear(key) and key.endswith("weight") else "keep"


def expected(name: str, variant: str, values) -> dict:
    config = config_of(name)
    model = model_of(config)
    state = dict(values)
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state, strict=True)
    prompts = [widest(name, model, length) for length in (1, 7, 40)]
    positions = [sorted({0, len(ids) - 1}) for ids in prompts]
    return answers(model, name, variant, VOCAB, zip(prompts, positions))


def widest(name: str, model, length: int, candidates=60):
    """Of random prompts the one whose greedy continuation has the widest smallest margin and is not one id over."""
    rng = np.random.default_rng([len(name), length])
    best, kept = -1.0, None
    for _ in range(candidates):
        ids = [int(i) for i in rng.integers(3, VOCAB, length)]
        new, margins, _ = greedy(model, ids, GREEDY, floor=max(best, 0.0))
        if len(new) == GREEDY and min(margins) > best and len(set(new)) > 3:
            best, kept = min(margins), ids
    assert kept, f"{name}: no prompt of {length} ids wanders"
    return kept


def multimodal(folder: Path, entries, config):
    """The same Gemma 3 as the text part of a multimodal checkpoint, beside a tensor of its vision tower."""
    entries = {key.replace("model.", "language_model.model.", 1): value for key, value in entries.items()}
    entries["vision_tower.vision_model.post_layernorm.weight"] = torch.ones(8, dtype=torch.bfloat16)
    whole = {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "text_config": config,
             "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 8}}
    save_model(folder, entries, whole)


def make_family(base: Path, name: str):
    tensors = weights(name)
    for variant in VARIANTS + (OTHERS if name == "llama" else ()):
        entries, values = quantized(tensors, scheme_of(variant))
        config = config_of(name)
        config.dtype = "bfloat16"
        if variant != "bf16":
            config.quantization_config = quantization_config(variant)
        written = json.loads(config.to_json_string())
        folder = base / name / variant
        save_model(folder, entries, written)
        facts = expected(name, variant, values)
        write_json(folder / "expected.json", facts)
        smallest = min(min(p["margins"]) for p in facts["prompts"]) / facts["logitScale"]
        distinct = [len(set(p["greedy"])) for p in facts["prompts"]]
        print(f"{name}/{variant}: scale {facts['logitScale']:.2f}, smallest margin {smallest:.4f}, ids {distinct}")
        if name == "gemma3" and variant == "bf16":
            multimodal(base / "gemma3-multimodal" / variant, entries, written)
            write_json(base / "gemma3-multimodal" / variant / "expected.json", facts)


def make(out: Path, only: str | None = None):
    """All of them, or the family `only`."""
    base = out / "families"
    for name in [only] if only else FAMILIES:
        shutil.rmtree(base / name, ignore_errors=True)
        make_family(base, name)
