"""PEFT adapters for tiny-llama, and for a tiny Qwen2 whose projections have biases, with what PEFT makes of them.

Adapters are saved by PEFT itself, with random A and B large enough that the logits change, and are read back from the
saved folder before anything is computed. Bases are dequantised to float32 (fixtures_llama.py says how).

lora/ADAPTER/                 adapter_config.json and adapter_model.safetensors
lora/expected/BASE.NAME.json  as fixtures_llama.py's expected.json, and `adapters`: the folders that are active, in order
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

import fixtures_llama as llama
from fixtures_common import bf16, write_json

CANDIDATES = 24
LLAMA = "tiny-llama"
QWEN = "tiny-qwen2-lora"

# folder: (base, dtype of the file, options of LoraConfig)
ADAPTERS = {
    "plain": (LLAMA, torch.float16, dict(r=4, lora_alpha=10, target_modules=["q_proj", "v_proj"])),
    "rslora": (LLAMA, torch.bfloat16, dict(
        r=4, lora_alpha=6, use_rslora=True, target_modules="all-linear",
        rank_pattern={"down_proj": 3, "layers.1.self_attn.q_proj": 7},
        alpha_pattern={r"layers\.[02]\.mlp\.gate_proj": 11, "o_proj": 3})),
    "dora": (LLAMA, torch.float32, dict(r=2, lora_alpha=3, use_dora=True, target_modules="all-linear")),
    "lora-bias": (LLAMA, torch.float32, dict(
        r=2, lora_alpha=5, lora_bias=True, target_modules=["q_proj", "o_proj", "up_proj", "down_proj"])),
    "embedding": (LLAMA, torch.float32, dict(r=3, lora_alpha=6, target_modules=["embed_tokens", "lm_head", "k_proj"])),
    "bias-all": (QWEN, torch.float32, dict(
        r=2, lora_alpha=4, bias="all", use_dora=True, target_modules=["q_proj", "down_proj"])),
    "bias-lora-only": (QWEN, torch.bfloat16, dict(
        r=2, lora_alpha=4, bias="lora_only", target_modules=["k_proj", "gate_proj"])),
    # whole tensors; the base's head is its embedding
    "saved-embedding": (QWEN, torch.bfloat16, dict(
        r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"])),
    "saved-head": (QWEN, torch.bfloat16, dict(
        r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["lm_head", "norm", "k_proj", "o_proj"])),
    "saved-tied": (QWEN, torch.bfloat16, dict(
        r=2, lora_alpha=4, target_modules=["v_proj"], modules_to_save=["embed_tokens"], ensure_weight_tying=True)),
    "tokens": (QWEN, torch.float32, dict(r=2, lora_alpha=4, target_modules=["q_proj"], trainable_token_indices=[77, 3, 9])),
    "target-embedding": (QWEN, torch.bfloat16, dict(r=2, lora_alpha=4, target_modules=["embed_tokens", "q_proj"])),
    "target-head": (QWEN, torch.bfloat16, dict(r=2, lora_alpha=4, use_dora=True, target_modules=["lm_head", "q_proj"])),
}
# PEFT saves the embedding and the head beside a LoRA of theirs, for the base may have been resized; here it was altered
WITH_BASE = ["target-embedding", "target-head"]
ACTIVE = [[name] for name in ADAPTERS] + [
    ["plain", "rslora"], ["plain", "dora", "lora-bias"], ["target-embedding", "bias-lora-only"]]


class Qwen:
    """A Qwen2 of two layers with random weights and biases."""

    name, seed, vocab = QWEN, 5, 131

    def config(self):
        return Qwen2Config(
            vocab_size=self.vocab, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-6, tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, bos_token_id=None, eos_token_id=None,
            dtype="bfloat16", architectures=["Qwen2ForCausalLM"],
        )

    def weights(self):
        config = self.config()
        config._attn_implementation = "eager"
        model = Qwen2ForCausalLM(config).float().eval()
        rng = np.random.default_rng(self.seed)
        state = {}
        for name, value in model.state_dict().items():
            if name == "lm_head.weight":
                continue
            gain = 0.15 if "embed" in name else 1.4 / np.sqrt(value.shape[-1])
            new = rng.standard_normal(value.shape) * (0.5 if name.endswith("bias") else gain)
            state[name] = bf16(rng.uniform(0.5, 1.5, value.shape) if "norm" in name else new)
        model.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
        return state, model


def base(name, variant):
    """`(spec, a fresh model in float32)`"""
    if name == QWEN:
        return Qwen(), Qwen().weights()[1]
    tensors = llama.weights(llama.TINY)
    return llama.TINY, llama.build(llama.TINY, llama.quantized(tensors, llama.SCHEMES[variant])[1])


def save_adapter(folder: Path, name: str, dtype, options):
    """A random adapter, as PEFT saves one."""
    base_name, *_ = ADAPTERS[name]
    model = get_peft_model(base(base_name, "bf16")[1], LoraConfig(task_type="CAUSAL_LM", **options))
    rng = np.random.default_rng([7, *name.encode()])
    for key, value in sorted(model.named_parameters()):
        if "lora_magnitude" in key:
            value.data *= torch.from_numpy(rng.uniform(0.7, 1.4, value.shape)).float()
        elif ".base_layer.weight" in key and key.split(".")[-3] in ("embed_tokens", "lm_head"):
            value.data = value.data + torch.from_numpy(rng.standard_normal(value.shape) * 0.1).float()
        elif "lora_" in key:
            small = ".lora_A." in key
            spread = 1 / np.sqrt(value.shape[-1]) if small else 0.25 if "embedding_B" in key else 0.5
            value.data = torch.from_numpy(rng.standard_normal(value.shape) * spread).float()
        elif value.requires_grad:  # a bias that was trained too
            value.data += torch.from_numpy(rng.standard_normal(value.shape) * 0.3).float()
    model.save_pretrained(folder, save_embedding_layers=name in WITH_BASE and "auto")
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    for field in ("target_modules", "modules_to_save"):
        if isinstance(config[field], list):
            config[field].sort()  # a set in PEFT
    write_json(folder / "adapter_config.json", config, indent=2)
    path = folder / "adapter_model.safetensors"
    save_file({key: value.to(dtype).contiguous() for key, value in load_file(path).items()}, path,
              metadata={"format": "pt"})


def adapted(out: Path, model, names):
    first, *others = names
    peft = PeftModel.from_pretrained(model, out / first, adapter_name=first)
    for name in others:
        peft.load_adapter(out / name, adapter_name=name)
    peft.base_model.set_adapter(list(names))
    return peft.eval()


def prompt(spec, model, length):
    """Of CANDIDATES random prompts, the one whose continuation has the widest smallest margin."""
    rng = np.random.default_rng([spec.seed, length])
    best, floor = None, 0.0
    for _ in range(CANDIDATES):
        ids = [int(t) for t in rng.integers(3, spec.vocab, length)]
        new, margins, _ = llama.greedy(model, ids, llama.GREEDY, floor=floor)
        if best is None or (len(new) == llama.GREEDY and min(margins) > floor and len(set(new)) >= 4):
            best, floor = ids, min(margins)
    return best


def expected(spec, variant, model, names):
    prompts = [prompt(spec, model, length) for length in (5, 37)]
    positions = [[0, 4], [36]]
    return {**llama.answers(model, spec.name, variant, spec.vocab, zip(prompts, positions)), "adapters": names}


def make(root: Path):
    out = root / "lora"
    shutil.rmtree(out, ignore_errors=True)
    for name, (_, dtype, options) in ADAPTERS.items():
        save_adapter(out / name, name, dtype, options)
    state, _ = Qwen().weights()
    config = Qwen().config().to_dict()
    llama.save_model(out / QWEN, state, config)
    for names in ACTIVE:
        base_name = ADAPTERS[names[0]][0]
        for variant in ["bf16", "nf4"] if base_name == LLAMA else ["bf16"]:
            spec, model = base(base_name, variant)
            facts = expected(spec, variant, adapted(out, model, names), names)
            write_json(out / "expected" / f"{variant}.{'+'.join(names)}.json", facts)
            llama.report(facts)
