"""Error-compensated NF4: GPTQ (Frantar et al., 2022) with NF4's codebook and a searched block scale.

Columns are rounded in order; what rounding one loses is made up for in the columns after it, through the
upper Cholesky factor of the inverse Hessian X'X of the linear's inputs. When a block of 64 columns is
reached, every candidate scale is tried on it, compensation inside the block included, and each row keeps
the scale whose Hessian-weighted error is least. Inputs are those of the already quantised network.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from . import llama, nf4

SCALES = torch.linspace(0.70, 1.05, 15)  # multiples of the block's absmax
DAMPING = 0.01  # of the Hessian's mean diagonal
ROWS = 3072  # rows at a time, to bound memory


def inverse_factor(hessian: torch.Tensor, damping: float) -> torch.Tensor:
    """Upper U with inverse(H + damping) = U'U."""
    size = hessian.shape[0]
    damped = hessian.double() + damping * hessian.diagonal().mean().double() * torch.eye(size, dtype=torch.float64)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True).float()


def round_block(block: torch.Tensor, scale: torch.Tensor, factor: torch.Tensor):
    """Rounds columns (R, 64) at scale (R,) with compensation inside the block.

    Returns codes, and the errors over the factor's diagonal.
    """
    values = block.t().contiguous()  # (64, R): a column is contiguous
    codes = torch.empty(values.shape, dtype=torch.uint8)
    errors = torch.empty_like(values)
    safe = torch.where(scale == 0, torch.ones_like(scale), scale)
    for i in range(nf4.BLOCK):
        code = nf4.nearest_codes(values[i] / safe)
        codes[i] = code
        errors[i] = (values[i] - nf4.CODEBOOK[code] * scale) / factor[i, i]
        values[i + 1 :].addr_(factor[i, i + 1 :], errors[i], alpha=-1)
    return codes.t(), errors.t()


def quantize_rows(weight: torch.Tensor, factor: torch.Tensor):
    """(R, K) to codes (R, K) and absmax (R, K / 64)."""
    rest = weight.clone()
    rows, columns = rest.shape
    codes = torch.empty(rows, columns, dtype=torch.uint8)
    absmax = torch.empty(rows, columns // nf4.BLOCK)
    pick = torch.arange(rows)
    for start in range(0, columns, nf4.BLOCK):
        span = slice(start, start + nf4.BLOCK)
        block = rest[:, span]
        scale = block.abs().amax(1) * SCALES.unsqueeze(1)  # (S, R)
        tried = round_block(block.repeat(len(SCALES), 1), scale.flatten(), factor[span, span])
        best = tried[1].pow(2).sum(1).view(len(SCALES), rows).argmin(0) * rows + pick
        codes[:, span], errors = (part[best] for part in tried)
        absmax[:, start // nf4.BLOCK] = scale.flatten()[best]
        rest[:, start + nf4.BLOCK :] -= errors @ factor[span, start + nf4.BLOCK :]
    return codes, absmax


def quantize(weight: torch.Tensor, hessian: torch.Tensor, damping: float = DAMPING):
    factor = inverse_factor(hessian, damping)
    parts = [quantize_rows(rows, factor) for rows in weight.split(ROWS)]
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


class Quantized:
    """What quantisation made of the model: `state` is what a reader of the file would dequantise.

    NF4 matrices also have their block scales before double quantisation, `absmax`.
    """

    def __init__(self, source: dict[str, torch.Tensor]):
        self.state = dict(source)
        self.absmax: dict[str, torch.Tensor] = {}

    def set_nf4(self, name: str, codes, absmax) -> None:
        self.absmax[name] = absmax
        self.state[name] = nf4.dequantize(codes, nf4.recovered(absmax))

    def set_int8(self, name: str) -> None:
        codes, scb = nf4.int8_tensors(name, self.state[name]).values()
        self.state[name] = nf4.int8_dequantize(codes, scb)


def gram(inputs: torch.Tensor) -> torch.Tensor:
    flat = inputs.flatten(0, -2)
    return flat.t() @ flat / flat.shape[0]


@torch.no_grad()
def quantize_model(source, ids, is_int8: Callable[[str], bool], log=print) -> Quantized:
    """Quantises all linears layer by layer, then the embedding.

    Tensors for which `is_int8(name)` become LLM.int8 rows, the others NF4. An int8 embedding is done first,
    so that the layers see it; for an NF4 one the Hessian is that of the final hidden states.
    """
    result = Quantized(source)
    state = result.state
    if is_int8(llama.EMBEDDING):
        result.set_int8(llama.EMBEDDING)
    cos, sin = llama.rotary_tables(ids.shape[1])
    x = F.embedding(ids, state[llama.EMBEDDING])

    def convert(prefix: str, kinds, inputs) -> None:
        hessian = gram(inputs)
        for kind in kinds:
            name = f"{prefix}{kind}.weight"
            if is_int8(name):
                result.set_int8(name)
            else:
                result.set_nf4(name, *quantize(state[name], hessian))

    def project(prefix: str, kind: str, inputs):
        return F.linear(inputs, state[f"{prefix}{kind}.weight"])

    for layer in range(llama.LAYERS):
        p = f"model.layers.{layer}."
        h = llama.rms_norm(x, state[p + "input_layernorm.weight"])
        convert(p, llama.ATTENTION_INPUTS, h)
        mixed = torch.cat(
            [
                llama.attend(*(project(p, kind, part) for kind in llama.ATTENTION_INPUTS), cos, sin)
                for part in h.split(16)
            ]
        )
        convert(p, ["self_attn.o_proj"], mixed)
        x += project(p, "self_attn.o_proj", mixed)
        h = llama.rms_norm(x, state[p + "post_attention_layernorm.weight"])
        convert(p, llama.MLP_INPUTS, h)
        h = F.silu(project(p, "mlp.gate_proj", h)) * project(p, "mlp.up_proj", h)
        convert(p, ["mlp.down_proj"], h)
        x += project(p, "mlp.down_proj", h)
        log(f"layer {layer} quantised")
    if not is_int8(llama.EMBEDDING):
        hidden = llama.rms_norm(x, state[llama.FINAL_NORM])
        result.set_nf4(llama.EMBEDDING, *quantize(state[llama.EMBEDDING], gram(hidden), damping=0.05))
        log("embedding quantised")
    return result
