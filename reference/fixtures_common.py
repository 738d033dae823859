"""Helpers shared by the fixture makers: files, digests and NF4 through bitsandbytes on the CPU."""

import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import torch

logging.disable(logging.WARNING)  # bitsandbytes warns about an optional kernel package on import
import bitsandbytes.functional as bnb  # noqa: E402

logging.disable(logging.NOTSET)

torch.set_num_threads(1)  # one thread: sums always in the same order
torch.use_deterministic_algorithms(True)

BLOCK = 64
_CPU_GENERIC = torch._C.DispatchKey.CompositeExplicitAutograd  # bitsandbytes' own "default" backend


def write_json(path: Path, value, indent=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    separators = None if indent else (",", ":")
    path.write_bytes((json.dumps(value, indent=indent, separators=separators) + "\n").encode())


def floats(array):
    """float32 values as the shortest decimals that read back to the same float32."""
    return [float(str(x)) for x in np.asarray(array, dtype=np.float32).reshape(-1)]


def raw(tensor: torch.Tensor) -> bytes:
    """The little-endian bytes of a tensor of any dtype."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def sha256(data: bytes | torch.Tensor) -> str:
    return hashlib.sha256(raw(data) if isinstance(data, torch.Tensor) else data).hexdigest()


def bf16(array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(torch.bfloat16)


# ---- NF4 ------------------------------------------------------------------------------------------------------------


def nf4_quantize(weight: torch.Tensor, double: bool = False, kind: str = "nf4", block: int = BLOCK):
    """`(packed, QuantState)` by bitsandbytes; `kind` may be "fp4".

    The first stage has only one CPU implementation. The second stage (8-bit absmax) has two: a native one with a
    65,536-entry lookup table, which picks a neighbouring code now and then, and the exact torch one, which is used
    here, as the recorded golden digests were made with it.
    """
    packed, state = bnb.quantize_4bit(weight, blocksize=block, quant_type=kind)
    if double:
        code = bnb.create_dynamic_map().float()
        offset = state.absmax.mean()
        op = torch.ops.bitsandbytes.quantize_blockwise.default
        state.absmax, nested = op._op_dk(_CPU_GENERIC, state.absmax - offset, code, 256)
        state.offset = offset
        state.state2 = bnb.QuantState(absmax=nested, code=code, blocksize=256, dtype=torch.float32)
        state.nested = True
    return packed, state


def nf4_absmax(state) -> torch.Tensor:
    """The f32 absmax of each block; for a double-quantised state map[q] * nested_absmax + offset."""
    if not state.nested:
        return state.absmax
    nested = state.state2.absmax.repeat_interleave(state.state2.blocksize)[: state.absmax.numel()]
    return state.state2.code[state.absmax.long()] * nested + state.offset


def nf4_dequantize(packed: torch.Tensor, state) -> torch.Tensor:
    """code * absmax in f32.

    Not `bnb.dequantize_4bit`: its AVX-512 kernel takes `row * floor(K / 64)` as the first block of a row, so it is
    wrong wherever K % 16 == 0 but K % 64 != 0 (blocks straddle rows).
    """
    n = state.shape.numel()
    packed = packed.view(-1)
    codes = torch.stack([packed >> 4, packed & 15], dim=1).view(-1)[:n].long()  # even element = high nibble
    absmax = nf4_absmax(state).repeat_interleave(state.blocksize)[:n]
    return (state.code[codes] * absmax).view(state.shape)


def nf4_tensors(name: str, weight: torch.Tensor, double=False, kind="nf4", block=BLOCK, storage=torch.uint8):
    """The safetensors entries of one 4-bit weight called `name`, and its f32 value."""
    packed, state = nf4_quantize(weight, double, kind, block)
    entries = {name: packed.view(-1).view(storage).view(-1, 1)}
    entries.update({f"{name}.{key}": value for key, value in state.as_dict(packed=True).items()})
    return entries, nf4_dequantize(packed, state)
