"""Tiny random Llama models in every file format Nibble reads, with what transformers makes of them in float32.

The weights are seeded and scaled so that logits spread over several units, attention is neither flat nor one-hot, and
the greedy continuation wanders. Of many random prompts each variant keeps those whose smallest top1-top2 margin is
widest, so that a test may demand the same ids from an f16 KV cache. (The prompts of two variants therefore differ.)

Every expected.json holds
  logitScale  the largest |logit| seen; errors and margins are to be judged against it
  prompts[]   ids; positions and logits (one row for each position listed); greedy: the 32 ids that follow;
              margins: top1 - top2 at each of those steps
The weights behind it are code * absmax in f32 for NF4, weight * SCB / 127 for LLM.int8, gguf-py's own dequantiser for
GGUF, and bf16 widened to f32; attention is eager, all arithmetic is float32.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

import fixtures_tokenizer
from fixtures_common import bf16, floats, nf4_tensors, sha256, write_json

LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
EMBED = "model.embed_tokens.weight"
GREEDY = 32
CANDIDATES = 250


@dataclass
class Spec:
    name: str
    seed: int
    hidden: int
    ff: int
    layers: int
    heads: int
    kv: int
    hd: int
    vocab: int
    tied: bool
    context: int
    rope: dict = field(default_factory=lambda: {"rope_type": "default", "rope_theta": 10000.0})
    bos: int | None = None
    eos: int | None = None

    def config(self) -> LlamaConfig:
        config = LlamaConfig(
            vocab_size=self.vocab,
            hidden_size=self.hidden,
            intermediate_size=self.ff,
            num_hidden_layers=self.layers,
            num_attention_heads=1,
            num_key_value_heads=self.kv,
            head_dim=self.hd,
            max_position_embeddings=self.context,
            rms_norm_eps=1e-5,
            tie_word_embeddings=self.tied,
            rope_parameters=dict(self.rope),
            bos_token_id=self.bos,
            eos_token_id=self.eos,
            dtype="bfloat16",
            architectures=["LlamaForCausalLM"],
        )
        config.num_attention_heads = self.heads  # set late: the constructor wants hidden % heads == 0
        return config


TINY = Spec("tiny-llama", 0, 96, 160, 3, 6, 2, 32, 263, True, 256)
ODD = Spec(
    "tiny-llama-odd", 0, 80, 112, 2, 3, 1, 20, 131, False, 512,
    {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
)
T128 = Spec("tiny-llama-128", 110, 128, 256, 2, 4, 2, 32, 300, True, 512, bos=1, eos=2)
SPECS = (TINY, ODD, T128)


# ---- weights --------------------------------------------------------------------------------------------------------


def weights(spec: Spec) -> dict[str, torch.Tensor]:
    """The model's bf16 tensors under their HF names."""
    rng = np.random.default_rng(spec.seed)

    def matrix(rows, cols, gain):
        return bf16(rng.standard_normal((rows, cols)) * gain / np.sqrt(cols))

    def norm(mean):
        return bf16(mean * rng.uniform(0.5, 1.5, spec.hidden))

    def embedding(scale):
        # Rows of unequal length: a heavier tail of logits, hence wider greedy margins.
        length = np.exp(0.35 * rng.standard_normal((spec.vocab, 1)))
        return bf16(rng.standard_normal((spec.vocab, spec.hidden)) * length * scale)

    out = {EMBED: embedding(0.15)}  # small beside what the layers add, or a tied model would repeat its input
    for i in range(spec.layers):
        p = f"model.layers.{i}."
        out[p + "input_layernorm.weight"] = norm(1.0)
        out[p + "self_attn.q_proj.weight"] = matrix(spec.heads * spec.hd, spec.hidden, 1.4)
        out[p + "self_attn.k_proj.weight"] = matrix(spec.kv * spec.hd, spec.hidden, 1.4)
        out[p + "self_attn.v_proj.weight"] = matrix(spec.kv * spec.hd, spec.hidden, 1.5)
        out[p + "self_attn.o_proj.weight"] = matrix(spec.hidden, spec.heads * spec.hd, 1.5)
        out[p + "post_attention_layernorm.weight"] = norm(1.0)
        out[p + "mlp.gate_proj.weight"] = matrix(spec.ff, spec.hidden, 1.5)
        out[p + "mlp.up_proj.weight"] = matrix(spec.ff, spec.hidden, 1.5)
        out[p + "mlp.down_proj.weight"] = matrix(spec.hidden, spec.ff, 1.0)
    out["model.norm.weight"] = norm(2.0)
    if not spec.tied:
        out["lm_head.weight"] = embedding(0.15)
    return out


def is_linear(name: str) -> bool:
    return name.split(".")[-2] in LINEARS


def int8_tensors(name: str, weight: torch.Tensor):
    """LLM.int8 as bnb.nn.Linear8bitLt saves it: rows scaled by their absmax (SCB) to -127..127."""
    w = weight.float()
    scb = w.abs().amax(dim=1)
    q = torch.round(w * (127.0 / scb[:, None])).to(torch.int8)
    prefix = name.removesuffix("weight")
    entries = {name: q, prefix + "SCB": scb, prefix + "weight_format": torch.tensor(0, dtype=torch.uint8)}
    return entries, q.float() * scb[:, None] / 127.0


FOUR_BITS = {
    "nf4": {},
    "nf4-dq": {"double": True},
    "nf4-blocks-of-128": {"block": 128},
    "nf4-stored-as-bf16": {"double": True, "storage": torch.bfloat16},
    "fp4": {"kind": "fp4"},
    "fp4-dq": {"kind": "fp4", "double": True},
}


def quantized(tensors, scheme):
    """`(file entries, f32 weights)`; scheme(name) is "keep", "int8" or one of FOUR_BITS."""
    entries, values = {}, {}
    for name, tensor in tensors.items():
        how = scheme(name)
        if how == "keep":
            new, value = {name: tensor}, tensor.float()
        elif how == "int8":
            new, value = int8_tensors(name, tensor)
        else:
            new, value = nf4_tensors(name, tensor, **FOUR_BITS[how])
        entries.update(new)
        values[name] = value
    return entries, values


def mixed(name: str) -> str:
    if name == "model.layers.0.self_attn.o_proj.weight":
        return "int8"
    if name.startswith("model.layers.1.mlp."):
        return "keep"
    return "nf4" if is_linear(name) or name == EMBED else "keep"


SCHEMES = {
    "bf16": lambda name: "keep",
    "nf4": lambda name: "nf4" if is_linear(name) else "keep",
    "nf4-dq": lambda name: "nf4-dq" if is_linear(name) else "keep",
    "nf4-mixed": mixed,
}


# ---- what transformers says -----------------------------------------------------------------------------------------


def build(spec: Spec, values: dict[str, torch.Tensor]) -> LlamaForCausalLM:
    config = spec.config()
    config.dtype = "float32"
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config).float().eval()
    state = dict(values)
    if spec.tied:
        state["lm_head.weight"] = state[EMBED]
    model.load_state_dict(state, strict=True)
    return model


@torch.no_grad()
def greedy(model, ids, steps, stop=None, floor=-1.0):
    """The greedy ids and margins after `ids`, the whole sequence recomputed at every step (no KV cache).

    Stops after the id `stop`, and once a margin is below `floor`.
    """
    ids, out, margins, scale = list(ids), [], [], 0.0
    for _ in range(steps):
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        top = logits.topk(2)
        out.append(int(top.indices[0]))
        margins.append(float(top.values[0] - top.values[1]))
        scale = max(scale, float(logits.abs().max()))
        ids.append(out[-1])
        if out[-1] == stop or margins[-1] < floor:
            break
    return out, margins, scale


def prompt(spec: Spec, model, length: int) -> list[int]:
    """Of CANDIDATES random prompts, the one whose continuation has the widest smallest margin.

    Continuations with fewer than 8 different ids, or with one of the three lowest (special) ids, do not count.
    """
    rng = np.random.default_rng([spec.seed, length])
    best, floor = None, 0.0
    for _ in range(CANDIDATES):
        ids = [int(t) for t in rng.integers(3, spec.vocab, length)]
        new, margins, _ = greedy(model, ids, GREEDY, floor=floor)
        if len(new) == GREEDY and min(margins) > floor and len(set(new)) >= 8 and min(new) >= 3:
            best, floor = ids, min(margins)
    return best


def expected(spec: Spec, variant: str, values) -> dict:
    model = build(spec, values)
    prompts = [prompt(spec, model, length) for length in (1, 7, 40)]
    positions = [list(range(len(ids))) if len(ids) == 7 else [len(ids) - 1] for ids in prompts]
    return answers(model, spec.name, variant, spec.vocab, zip(prompts, positions))


@torch.no_grad()
def answers(model, name: str, variant: str, vocab: int, prompts) -> dict:
    """expected.json of a model for prompts of ids and the positions whose logits it shall hold."""
    scale, rows = 0.0, []
    for ids, positions in prompts:
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
        new, margins, top = greedy(model, ids, GREEDY)
        scale = max(scale, top, float(logits.abs().max()))
        rows.append({
            "ids": ids,
            "positions": positions,
            "logits": [floats(logits[p]) for p in positions],
            "greedy": new,
            "margins": floats(margins),
        })
    return {
        "format": "nibble-expected-1",
        "model": name,
        "variant": variant,
        "vocab": vocab,
        "logitScale": floats([scale])[0],
        "prompts": rows,
    }


# ---- files ----------------------------------------------------------------------------------------------------------


def quantization_config(scheme: str) -> dict:
    if scheme == "int8":
        return BitsAndBytesConfig(load_in_8bit=True).to_dict()
    skip = None
    if scheme == "nf4-mixed":
        skip = ["lm_head", "model.layers.1.mlp", "model.layers.0.self_attn.o_proj"]
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="fp4" if scheme.startswith("fp4") else "nf4",
        bnb_4bit_use_double_quant=scheme.endswith("-dq"),
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=skip,
    ).to_dict()


def config_json(spec: Spec, scheme: str, style: str) -> dict:
    """config.json as transformers 5 writes it (style "v5") or, with rope_theta and torch_dtype, as 4.x did ("v4")."""
    config = spec.config()
    if scheme != "bf16":
        config.quantization_config = quantization_config(scheme)
    out = json.loads(config.to_json_string())
    if style == "v4":
        rope = dict(out.pop("rope_parameters"))
        out["rope_theta"] = rope.pop("rope_theta")
        out["rope_scaling"] = None if rope["rope_type"] == "default" else rope
        out["torch_dtype"] = out.pop("dtype")
        del out["transformers_version"]
    return dict(sorted(out.items()))


def save_model(folder: Path, entries, config, shards=1):
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config, indent=2)
    entries = {name: tensor.contiguous() for name, tensor in entries.items()}
    if shards == 1:
        save_file(entries, folder / "model.safetensors", metadata={"format": "pt"})
        return
    total = sum(t.numel() * t.element_size() for t in entries.values())
    split = split_torch_state_dict_into_shards(
        entries, filename_pattern="model{suffix}.safetensors", max_shard_size=int(total / shards * 1.05)
    )
    assert len(split.filename_to_tensors) == shards
    for filename, names in split.filename_to_tensors.items():
        save_file({n: entries[n] for n in names}, folder / filename, metadata={"format": "pt"})
    index = {"metadata": split.metadata, "weight_map": dict(sorted(split.tensor_to_filename.items()))}
    write_json(folder / "model.safetensors.index.json", index, indent=2)


GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name: str) -> str:
    if name == EMBED:
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{GGUF_NAMES[rest.removesuffix('.weight')]}.weight"


def permute(w: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's row order of q and k: from half-split rotary pairs to interleaved ones."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(w.shape)


def unpermute(w: np.ndarray, heads: int) -> np.ndarray:
    return w.reshape(heads, w.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)


def gguf_quantized(spec: Spec, tensors):
    """`({gguf name: (data, type)}, f32 weights in HF's row order)`: linears Q4_1, embedding Q8_0, norms F32."""
    kinds, values = {}, {}
    for name, tensor in tensors.items():
        w = tensor.float().numpy()
        heads = spec.heads if "q_proj" in name else spec.kv if "k_proj" in name else 0
        if heads:
            w = permute(w, heads)
        kind = gguf.GGMLQuantizationType.F32
        if w.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0 if name == EMBED else gguf.GGMLQuantizationType.Q4_1
            data = gguf.quants.quantize(w, kind)
            w = gguf.quants.dequantize(data, kind)
        else:
            data = w
        kinds[gguf_name(name)] = (data, kind)
        values[name] = torch.from_numpy(np.ascontiguousarray(unpermute(w, heads) if heads else w, dtype=np.float32))
    return kinds, values


def save_gguf(path: Path, spec: Spec, kinds):
    path.parent.mkdir(parents=True, exist_ok=True)
    w = gguf.GGUFWriter(path, "llama")
    w.add_name(spec.name)
    w.add_block_count(spec.layers)
    w.add_context_length(spec.context)
    w.add_embedding_length(spec.hidden)
    w.add_feed_forward_length(spec.ff)
    w.add_head_count(spec.heads)
    w.add_head_count_kv(spec.kv)
    w.add_key_length(spec.hd)
    w.add_value_length(spec.hd)
    w.add_rope_dimension_count(spec.hd)
    w.add_rope_freq_base(spec.rope["rope_theta"])
    w.add_layer_norm_rms_eps(1e-5)
    w.add_vocab_size(spec.vocab)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    tokens, merges = fixtures_tokenizer.small_vocabulary(spec.vocab)
    special = len(fixtures_tokenizer.SPECIAL)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL] * special + [gguf.TokenType.NORMAL] * (spec.vocab - special))
    w.add_token_merges(merges)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(False)
    w.add_chat_template(fixtures_tokenizer.CHATML)
    for name, (data, kind) in kinds.items():
        w.add_tensor(name, data, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


# ---- the three models -----------------------------------------------------------------------------------------------

CHATS = [
    [{"role": "user", "content": "Hello there, how are you?"}],
    [{"role": "system", "content": "You are a small test."}, {"role": "user", "content": "Name 3 rivers."}],
    [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three, naïvely 🙂?"},
    ],
    [{"role": "user", "content": "Tell me about the sea."}],
]


def chats(spec: Spec, values, tokenizer):
    """Whole chat turns: template, ids, greedy reply of at most 64 ids (the stop id included), its text."""
    model, out = build(spec, values), []
    for messages in CHATS:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        reply, margins, scale = greedy(model, ids, 64, stop=spec.eos)
        out.append({
            "messages": messages,
            "prompt": text,
            "ids": ids,
            "greedy": reply,
            "margins": floats(margins),
            "logitScale": floats([scale])[0],
            "finish": "stop" if reply[-1] == spec.eos else "length",
            "text": tokenizer.decode(reply, skip_special_tokens=True, clean_up_tokenization_spaces=False),
        })
    return out


def manifest(folder: Path, spec: Spec, chunk=4 << 20):
    """Nibble's own list of a model's files with a digest for every 4 MiB chunk.

    `revision` is the SHA-256 of the lines "<sha256>  <path>\n" of the files in this order.
    """
    files = []
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
                 "model.safetensors"):
        data = (folder / name).read_bytes()
        chunks = [hashlib.sha256(data[i:i + chunk]).hexdigest() for i in range(0, len(data), chunk)]
        files.append({"path": name, "bytes": len(data), "sha256": sha256(data), "chunks": chunks})
    return {
        "format": "nibble-manifest-1",
        "model": spec.name,
        "revision": sha256("".join(f"{f['sha256']}  {f['path']}\n" for f in files).encode()),
        "chunkBytes": chunk,
        "totalBytes": sum(f["bytes"] for f in files),
        "files": files,
    }


def variants(spec: Spec) -> list[str]:
    return ["bf16", "nf4", "nf4-dq", "nf4-mixed"] if spec is TINY else ["bf16", "nf4"]


def make(out: Path):
    for spec in SPECS:
        base = out / spec.name
        shutil.rmtree(base, ignore_errors=True)
        tensors = weights(spec)
        for variant in variants(spec):
            folder = base / variant
            entries, values = quantized(tensors, SCHEMES[variant])
            style = "v5" if (spec, variant) == (ODD, "nf4") else "v4"
            save_model(folder, entries, config_json(spec, variant, style))
            facts = expected(spec, variant, values)
            write_json(folder / "expected.json", facts)
            report(facts)
            if spec is T128:
                tokenizer = fixtures_tokenizer.save_small(folder, spec.vocab, spec.context)
                write_json(folder / "chat.json", chats(spec, values, tokenizer), indent=1)
                if variant == "nf4":
                    write_json(folder / "manifest.json", manifest(folder, spec), indent=2)
            if spec is TINY and variant == "nf4":
                save_model(base / "sharded", entries, config_json(spec, variant, "v5"), shards=3)
                write_json(base / "sharded" / "expected.json", {**facts, "variant": "sharded"})
        if spec is TINY:
            kinds, values = gguf_quantized(spec, tensors)
            save_gguf(base / "gguf" / f"{spec.name}.gguf", spec, kinds)
            facts = expected(spec, "gguf", values)
            write_json(base / "gguf" / "expected.json", facts)
            report(facts)


def worst_margin(facts) -> float:
    return min(min(p["margins"]) for p in facts["prompts"]) / facts["logitScale"]


def report(facts):
    row = np.array(facts["prompts"][1]["logits"])
    ids = [len(set(p["greedy"])) for p in facts["prompts"]]
    print(f"{facts['model']}/{facts['variant']}: logit std {row.std():.2f}, scale {facts['logitScale']:.2f}, "
          f"smallest margin / scale {worst_margin(facts):.4f}, distinct greedy ids {ids}")


def search(count: int):
    """Try seeds for tiny-llama-128: of its chats one shall end with the stop id and one run on, by a clear margin."""
    tokenizer, best = fixtures_tokenizer.small(T128.vocab, T128.context), 0.0
    for T128.seed in range(count):
        tensors, margin = weights(T128), 1.0
        for variant in variants(T128):
            turns = chats(T128, quantized(tensors, SCHEMES[variant])[1], tokenizer)
            margin = min([margin] + [min(t["margins"]) / t["logitScale"] for t in turns])
            lengths = [len(t["greedy"]) for t in turns]
            if len({t["finish"] for t in turns}) < 2 or min(lengths) < 4 or margin <= best:
                break
        else:
            best = margin
            print(f"seed {T128.seed}: smallest margin / scale {margin:.5f}, lengths {lengths}", flush=True)
