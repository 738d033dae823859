"""The model directory: safetensors shards, index, configuration files, digests."""

import hashlib
import json
import struct
from pathlib import Path

import torch

from . import llama, nf4

SHARD_LIMIT = 16 << 20
CHUNK = 4 << 20
DTYPES = {torch.float32: "F32", torch.uint8: "U8", torch.int8: "I8"}
Tensors = dict[str, torch.Tensor]


def modules(quantized) -> list[Tensors]:
    """The tensors to store, one dict a module, in forward order."""

    def matrix(name: str) -> Tensors:
        if name in quantized.absmax:
            absmax = quantized.absmax[name]
            codes = nf4.codes_for(quantized.state[name], nf4.recovered(absmax))
            return nf4.nf4_tensors(name, codes, absmax)
        return nf4.int8_tensors(name, quantized.state[name])

    def norm(name: str) -> Tensors:
        return {name: quantized.state[name]}

    listed = [matrix(llama.EMBEDDING)]
    for layer in range(llama.LAYERS):
        p = f"model.layers.{layer}."
        listed.append(norm(p + "input_layernorm.weight"))
        listed += [matrix(f"{p}{kind}.weight") for kind in (*llama.ATTENTION_INPUTS, "self_attn.o_proj")]
        listed.append(norm(p + "post_attention_layernorm.weight"))
        listed += [matrix(f"{p}{kind}.weight") for kind in (*llama.MLP_INPUTS, "mlp.down_proj")]
    return [*listed, norm(llama.FINAL_NORM)]


def header_of(tensors: Tensors) -> bytes:
    """safetensors' length and JSON header, padded so that the data starts at a multiple of 8."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def aligned(tensors: Tensors) -> Tensors:
    """The pieces of one module, float32 first, so that every float32 of a shard is 4-byte aligned."""
    return dict(sorted(tensors.items(), key=lambda item: item[1].dtype != torch.float32))


def described_first(tensors: Tensors) -> Tensors:
    """What a reader must know before the weights (shapes, codebooks), in one place at the front of the shard."""
    return dict(sorted(tensors.items(), key=lambda item: ".quant_state." not in item[0] and ".weight.quant_map" not in item[0]))


def shards(listed: list[Tensors]) -> list[Tensors]:
    """Fills shards in order; a module is never divided and a shard stays under the limit."""
    groups: list[Tensors] = [{}]
    for module in map(aligned, listed):
        joined = {**groups[-1], **module}
        size = len(header_of(joined)) + sum(t.numel() * t.element_size() for t in joined.values())
        if size > SHARD_LIMIT and groups[-1]:
            groups.append(module)
        else:
            groups[-1] = joined
    return [described_first(group) for group in groups]


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_weights(folder: Path, quantized) -> int:
    """Writes shards and index; returns the bytes of all shards together."""
    groups = shards(modules(quantized))
    index, bytes_written = {}, 0
    for number, tensors in enumerate(groups, 1):
        path = folder / f"model-{number:05}-of-{len(groups):05}.safetensors"
        with path.open("wb") as file:
            file.write(header_of(tensors))
            for tensor in tensors.values():
                file.write(tensor.contiguous().numpy().tobytes())
        index |= dict.fromkeys(tensors, path.name)
        bytes_written += path.stat().st_size
    data = sum(t.numel() * t.element_size() for tensors in groups for t in tensors.values())
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": data}, "weight_map": index})
    return bytes_written


def model_config(metadata: dict, int8_modules: list[str]) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
        "hidden_act": "silu",
        "hidden_size": metadata["llama.embedding_length"],
        "initializer_range": 0.041666666666666664,
        "intermediate_size": metadata["llama.feed_forward_length"],
        "max_position_embeddings": metadata["llama.context_length"],
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": metadata["llama.attention.head_count"],
        "num_hidden_layers": metadata["llama.block_count"],
        "num_key_value_heads": metadata["llama.attention.head_count_kv"],
        "pad_token_id": metadata["tokenizer.ggml.padding_token_id"],
        "pretraining_tp": 1,
        "quantization_config": {
            "_load_in_4bit": True,
            "_load_in_8bit": False,
            "bnb_4bit_compute_dtype": "float32",
            "bnb_4bit_quant_storage": "uint8",
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "llm_int8_enable_fp32_cpu_offload": False,
            "llm_int8_has_fp16_weight": False,
            "llm_int8_skip_modules": int8_modules,
            "llm_int8_threshold": 6.0,
            "load_in_4bit": True,
            "load_in_8bit": False,
            "quant_method": "bitsandbytes",
        },
        "rms_norm_eps": 1e-05,
        "rope_interleaved": False,
        "rope_scaling": None,
        "rope_theta": metadata["llama.rope.freq_base"],
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": metadata["llama.vocab_size"],
    }


def generation_config(metadata: dict) -> dict:
    return {
        "_from_model_config": True,
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
        "pad_token_id": metadata["tokenizer.ggml.padding_token_id"],
    }


def manifest(folder: Path, model: str) -> dict:
    """Digests of every file that a runtime loads; `revision` is the SHA-256 of the files' hex digests, joined."""
    files = []
    for path in [*sorted(folder.glob("*.json")), *sorted(folder.glob("*.safetensors"))]:
        if path.name == "manifest.json":
            continue
        data = path.read_bytes()
        chunks = [hashlib.sha256(data[i : i + CHUNK]).hexdigest() for i in range(0, len(data), CHUNK)]
        digest = hashlib.sha256(data).hexdigest()
        files.append({"path": path.name, "bytes": len(data), "sha256": digest, "chunks": chunks})
    return {
        "format": "nibble-manifest-1",
        "model": model,
        "revision": hashlib.sha256("".join(file["sha256"] for file in files).encode()).hexdigest(),
        "chunkBytes": CHUNK,
        "totalBytes": sum(file["bytes"] for file in files),
        "files": files,
    }


def read_state(folder: Path) -> Tensors:
    """The float32 state dict of a model directory: code x absmax, and weight x SCB / 127."""
    from safetensors.torch import load_file

    stored: Tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        stored |= load_file(path)
    state = {}
    for name, tensor in stored.items():
        quant_state = stored.get(f"{name}.quant_state.bitsandbytes__nf4")
        scb = stored.get(name.removesuffix("weight") + "SCB")
        if quant_state is not None:
            state[name] = read_nf4(stored, name, json.loads(bytes(quant_state.tolist())))
        elif scb is not None and name.endswith(".weight"):
            state[name] = nf4.int8_dequantize(tensor, scb)
        elif name.endswith("norm.weight"):
            state[name] = tensor
    return state


def read_nf4(stored: Tensors, name: str, described: dict) -> torch.Tensor:
    absmax = nf4.recover_absmax(
        stored[f"{name}.absmax"],
        stored[f"{name}.nested_absmax"],
        torch.tensor(described["nested_offset"], dtype=torch.float32),
        stored[f"{name}.nested_quant_map"],
    )
    rows, columns = described["shape"]
    codes = nf4.unpack(stored[name], (rows, columns))
    return nf4.dequantize(codes, absmax.view(rows, columns // described["blocksize"]))
