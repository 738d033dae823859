"""NF4 in bitsandbytes' file format: codebook, packing, double quantisation; and LLM.int8 rows.

Method: QLoRA (Dettmers et al., 2023), LLM.int8() (Dettmers et al., 2022). File format as bitsandbytes
0.50 writes it (`Linear4bit` state dict); reproduced here from its description, checked against
bitsandbytes' own dequantisation in check.py.
"""

import functools
import json

import torch

BLOCK, NESTED_BLOCK = 64, 256
CODEBOOK = torch.tensor(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
        -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
        0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ]
)  # fmt: skip
THRESHOLDS = (CODEBOOK[1:] + CODEBOOK[:-1]) / 2


@functools.cache
def nested_map() -> torch.Tensor:
    """The signed 8-bit dynamic map exactly as bitsandbytes writes it (regenerating it differs in last bits)."""
    from bitsandbytes.functional import create_dynamic_map

    return create_dynamic_map().float()


def nearest_codes(scaled: torch.Tensor) -> torch.Tensor:
    """Codes of values already divided by absmax; ties to the lower index, as bitsandbytes."""
    return torch.bucketize(scaled, THRESHOLDS, out_int32=True)


def block_absmax(weight: torch.Tensor) -> torch.Tensor:
    """(N, K) to (N, K / 64)."""
    return weight.unflatten(-1, (-1, BLOCK)).abs().amax(-1)


def dequantize(codes: torch.Tensor, absmax: torch.Tensor) -> torch.Tensor:
    """codes (N, K), absmax (N, K / 64) to float32 (N, K)."""
    return CODEBOOK[codes.long()] * absmax.repeat_interleave(BLOCK, -1)


def codes_for(weight: torch.Tensor, absmax: torch.Tensor) -> torch.Tensor:
    safe = torch.where(absmax == 0, torch.ones_like(absmax), absmax)
    return nearest_codes(weight / safe.repeat_interleave(BLOCK, -1)).to(torch.uint8)


def pack(codes: torch.Tensor) -> torch.Tensor:
    """(N, K) to uint8 (N * K / 2, 1): the even element is the high nibble."""
    flat = codes.flatten()
    return (flat[0::2] << 4 | flat[1::2]).unsqueeze(1)


def unpack(packed: torch.Tensor, shape) -> torch.Tensor:
    flat = packed.flatten()
    return torch.stack([flat >> 4, flat & 15], -1).reshape(shape)


def double_quantize(absmax: torch.Tensor):
    """Flat float32 absmax to (uint8 codes, nested absmax, offset)."""
    flat = absmax.flatten()
    offset = flat.mean()
    padded = torch.nn.functional.pad(flat - offset, (0, -flat.numel() % NESTED_BLOCK)).view(-1, NESTED_BLOCK)
    nested = padded.abs().amax(1)
    table = nested_map()
    scaled = padded / torch.where(nested == 0, torch.ones_like(nested), nested).unsqueeze(1)
    codes = torch.bucketize(scaled, (table[1:] + table[:-1]) / 2).to(torch.uint8)
    return codes.flatten()[: flat.numel()].contiguous(), nested, offset


def recover_absmax(codes: torch.Tensor, nested: torch.Tensor, offset, table: torch.Tensor) -> torch.Tensor:
    return table[codes.long()] * nested.repeat_interleave(NESTED_BLOCK)[: codes.numel()] + offset


def recovered(absmax: torch.Tensor) -> torch.Tensor:
    """absmax as a reader of the file will see it after double quantisation."""
    return recover_absmax(*double_quantize(absmax), nested_map()).view_as(absmax)


def nf4_tensors(name: str, codes: torch.Tensor, absmax: torch.Tensor) -> dict[str, torch.Tensor]:
    """The tensors of one linear (name ends in .weight) as bitsandbytes stores them."""
    absmax_codes, nested, offset = double_quantize(absmax)
    state = {
        "quant_type": "nf4",
        "blocksize": BLOCK,
        "dtype": "float32",
        "shape": list(codes.shape),
        "nested_blocksize": NESTED_BLOCK,
        "nested_dtype": "float32",
        "nested_offset": offset.item(),
    }
    text = json.dumps(state)
    text += " " * (-len(text) % 4)  # blank space is JSON too, and keeps what follows in a file 4-byte aligned
    return {
        name: pack(codes),
        f"{name}.absmax": absmax_codes,
        f"{name}.nested_absmax": nested,
        f"{name}.nested_quant_map": nested_map(),
        f"{name}.quant_map": CODEBOOK.clone(),
        f"{name}.quant_state.bitsandbytes__nf4": torch.tensor(list(text.encode()), dtype=torch.uint8),
    }


def int8_tensors(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """One matrix (name ends in .weight) as LLM.int8() stores it: value = weight * SCB / 127."""
    scb = weight.abs().amax(1)
    codes = (weight * (127 / scb).unsqueeze(1)).round().to(torch.int8)
    return {name: codes, name.removesuffix("weight") + "SCB": scb}


def int8_dequantize(codes: torch.Tensor, scb: torch.Tensor) -> torch.Tensor:
    return codes.float() * scb.unsqueeze(1) / 127
