"""NF4 by bitsandbytes on the CPU: golden vectors, and raw tensors with their codes for bit-equality tests.

bitsandbytes' rule (its only CPU quantiser): code = index of the interval of w * (1 / absmax) between the midpoints of
the code book, a tie going to the lower index; but in a last block shorter than 64 it is w / absmax, and an all-zero
*short* block gets absmax 1e-38. CUDA multiplies by the reciprocal everywhere. The cases hold no element on which the
two differ (checked here), so either rule passes.
"""

from pathlib import Path

import numpy as np
import torch

from fixtures_common import BLOCK, bnb, floats, nf4_absmax, nf4_dequantize, nf4_quantize, raw, sha256, write_json

# Digests recorded when the vectors were first made (bitsandbytes of 2026-08-19, torch backend).
RECORDED = {
    "A.packed": "04c16e29f3b05d17e29f3c05d18e2af4c16e18e3b05d17e29f3b05d18e2af4c1",
    "A.dequantSha256": "53e75c0f13629100fd0370aaaeedb956c52aec6b806f6effff062590cdbd8d4a",
    "B.packedSha256": "3c871f2cab4a3a601f9b60f23a083e85322324aca7287d8159a08fd48a9086f0",
    "B.absmaxSha256": "b01afde70190f03fa4d8f4b9dac0db3e58e4712707adfea3e0ef7f2336bd18f5",
    "B.dequantSha256": "606381f95518543a28ed62c6e44937420790a4df886fd194b77ebaada18484ce",
    "B.double.absmaxU8Sha256": "2bb20e8b0d9cd34a2b9088e64b98f967bdc108dd53c5502c5d07b792e0c5e4f8",
    "B.double.nestedMapSha256": "e732639a65f497b4ad684bb166a4467708255edd5207757de8b8f0c7e1fda89c",
    "B.double.dequantSha256": "456ae97c8bdf4e1f78e4659ec154897f7838e7e2d2b7d5010a8ad3840f56d344",
    "C.dequantSha256": "2be4e32011799446ae69d6e00e949852a0fb9eed074e241f0bbdc95eedad6df2",
}


def golden():
    index = torch.arange(129 * 128)
    a = (((index[:64] * 37) % 101 - 50).float() / 64).view(1, 64)
    b = ((((index * 7919) % 4001) - 2000).float() * (1 + (index // 64) % 5).float() / 4096).view(129, 128)
    c = (((index[:300] * 29) % 61 - 30).float() / 32).view(3, 100)
    x = ((torch.arange(128) * 13) % 17 - 8).float() / 8

    def common(formula, w):
        packed, state = nf4_quantize(w)
        value = nf4_dequantize(packed, state)
        return packed, state, value, {
            "formula": formula,
            "shape": list(w.shape),
            "sourceSha256": sha256(w),
            "packedSha256": sha256(packed),
            "absmaxSha256": sha256(state.absmax),
            "dequantSha256": sha256(value),
            "meanAbsError": float((value - w).abs().mean()),
        }

    out = {"format": "nibble-nf4-golden-1"}
    for name, formula, w in (
        ("A", "((i*37) mod 101 - 50)/64", a),
        ("C", "((i*29) mod 61 - 30)/32", c),
    ):
        packed, state, value, out[name] = common(formula, w)
        out[name].update(packed=raw(packed).hex(), absmax=floats(state.absmax), dequant=floats(value))

    packed, state, value, out["B"] = common("(((i*7919) mod 4001) - 2000)*(1 + floor(i/64) mod 5)/4096", b)
    rows = [0, 1, 2, 3, 128]
    out["B"].update(
        packedFirst16=raw(packed)[:16].hex(),
        absmax=floats(state.absmax),
        x="((i*13) mod 17 - 8)/8",
        rows=rows,
        y=floats((value @ x)[rows]),
    )
    packed2, state2 = nf4_quantize(b, double=True)
    assert raw(packed2) == raw(packed)
    value2 = nf4_dequantize(packed2, state2)
    out["B"]["double"] = {
        "absmaxU8": raw(state2.absmax).hex(),
        "absmaxU8Sha256": sha256(state2.absmax),
        "nestedAbsmax": floats(state2.state2.absmax),
        "nestedMapSha256": sha256(state2.state2.code),
        "nestedMap": floats(state2.state2.code),
        "nestedBlocksize": 256,
        "nestedOffset": state2.offset.item(),
        "absmax": floats(nf4_absmax(state2)),
        "absmaxSha256": sha256(nf4_absmax(state2)),
        "dequantSha256": sha256(value2),
        "y": floats((value2 @ x)[rows]),
    }
    for path, want in RECORDED.items():
        got = out
        for key in path.split("."):
            got = got[key]
        print(f"nf4 golden {path}: {'as recorded' if got == want else f'DIFFERS: {got}, recorded {want}'}")
    return out


def tensors():
    """name -> (tensor, note)"""
    rng = np.random.default_rng(7)

    def normal(*shape):
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32) * 0.02)

    out = {}
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        short = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}[dtype]
        out[f"{short}-64x96"] = normal(64, 96).to(dtype), "blocks straddle rows"
        out[f"{short}-33x70"] = normal(33, 70).to(dtype), "odd sizes; the last block is short"
        out[f"{short}-5x13"] = normal(5, 13).to(dtype), "odd element count: the last low nibble is padding, code 7"
        zero = normal(6, 64)
        zero[2] = 0.0
        out[f"{short}-zero-block"] = zero.to(dtype), "block 2 is all zero: absmax 0, codes 7"
    code = bnb.get_4bit_type("nf4", device="cpu")
    ties = torch.zeros(4, 64)
    mid = (code[:-1] + code[1:]) / 2
    for row, absmax in enumerate((1.0, 0.5, 8.0, 2.0**-20)):
        ties[row, :15] = mid * absmax
        ties[row, 15:31] = code * absmax  # the last of these is the absmax itself
        ties[row, 31:46] = torch.nextafter(mid, torch.tensor(2.0)) * absmax
        ties[row, 46:61] = torch.nextafter(mid, torch.tensor(-2.0)) * absmax
    out["f32-midpoints"] = ties, "each row: 15 midpoints (ties go down), 16 codes, 15 just above, 15 just below, zeros"
    wide = torch.tensor([1e30, -3e37, 1e-30, -1e-37, 0.0, -0.0, 2e37, 7.0])
    out["f32-wide"] = torch.stack([wide.repeat(8), normal(64) * 1e-25]), "extreme exponents, negative zero"
    half = torch.tensor([65504.0, -65504.0, 6e-8, -6e-5, 0.0, -0.0, 1e4, 3.0])
    out["f16-wide"] = torch.stack([half.repeat(8), (normal(64) * 1e-3)]).half(), "largest and subnormal f16"
    return out


def codes_by_reciprocal(w: torch.Tensor) -> torch.Tensor:
    """The rule with the reciprocal in every block, as CUDA has it; to see that the cases do not depend on it."""
    flat = w.reshape(-1).float()
    code = bnb.get_4bit_type("nf4", device="cpu")
    padded = torch.nn.functional.pad(flat, (0, -flat.numel() % BLOCK)).view(-1, BLOCK)
    inverse = 1.0 / padded.abs().amax(dim=1, keepdim=True).clamp(min=1e-38)
    return torch.bucketize((padded * inverse).clamp(-1, 1), (code[:-1] + code[1:]) / 2).view(-1)[: flat.numel()]


def make(out: Path):
    folder = out / "nf4"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    write_json(folder / "golden.json", golden(), indent=1)
    listing = []
    for name, (w, note) in tensors().items():
        packed, state = nf4_quantize(w)
        flat = torch.stack([packed.view(-1) >> 4, packed.view(-1) & 15], dim=1).view(-1)
        if flat.numel() > w.numel():
            assert flat[-1] == 7
        assert torch.equal(flat[: w.numel()].long(), codes_by_reciprocal(w)), name
        dequant = nf4_dequantize(packed, state)
        files = {"source": w, "codes": packed, "absmax": state.absmax}
        case = {"name": name, "dtype": name.split("-")[0], "shape": list(w.shape), "blocksize": BLOCK, "note": note}
        for kind, tensor in files.items():
            case[kind] = f"{name}.{kind}.bin"
            (folder / case[kind]).write_bytes(raw(tensor))
        case["dequantSha256"] = sha256(dequant)
        listing.append(case)
    write_json(folder / "cases.json", {
        "format": "nibble-nf4-cases-1",
        "about": "little-endian; source in its dtype, codes packed two a byte with the even element high, absmax f32",
        "cases": listing,
    }, indent=1)
    print(f"nf4/cases.json: {len(listing)} tensors")
