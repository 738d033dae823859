"""A short distillation of the quantised model against its source, with the rounding in the loop.

Quantisation-aware training on text that the model wrote itself (LLM-QAT, Liu et al., 2023): the loss is
KL(source || quantised) over the whole vocabulary. Codes come from latent float32 weights, rounded anew in
every step with the gradient passed straight through (Bengio et al., 2013); block scales are trained with
them (after LSQ, Esser et al., 2020), and so are the norms. Matrix products are in bfloat16, the residual stream in float32.
"""

import math
import time

import torch
import torch.nn.functional as F

from . import llama, nf4
from .gptq import Quantized

HEAD_ROWS = 256


class Rounded(torch.autograd.Function):
    """NF4(latent, absmax) in bfloat16, gradients straight through to latent and absmax."""

    @staticmethod
    def forward(ctx, latent, absmax):
        blocks = latent.unflatten(-1, (-1, nf4.BLOCK)) / absmax.unsqueeze(-1)
        values = nf4.CODEBOOK[nf4.nearest_codes(blocks)]
        # d(code * s)/ds at fixed latent, the rounding passed straight through: code - latent / s.
        ctx.save_for_backward((values - blocks).bfloat16())
        return (values * absmax.unsqueeze(-1)).flatten(1).bfloat16()

    @staticmethod
    def backward(ctx, grad):
        (slope,) = ctx.saved_tensors
        return grad.float(), (grad.unflatten(-1, (-1, nf4.BLOCK)) * slope).float().sum(-1)


class HeadLoss(torch.autograd.Function):
    """Mean KL from the source's to our next-token distribution, a few rows of logits at a time."""

    @staticmethod
    def forward(ctx, hidden, embedding, wanted_hidden, wanted_embedding):
        total, count = 0.0, hidden.shape[0]
        grad_hidden = torch.empty_like(hidden)
        grad_embedding = torch.zeros(embedding.shape)
        for start in range(0, count, HEAD_ROWS):
            rows = slice(start, start + HEAD_ROWS)
            inputs = hidden[rows].bfloat16()
            log_q = F.linear(inputs, embedding).float().log_softmax(-1)
            log_p = F.linear(wanted_hidden[rows].bfloat16(), wanted_embedding).float().log_softmax(-1)
            p = log_p.exp()
            total += torch.sum(p * (log_p - log_q)).item()
            surplus = log_q.exp_().sub_(p).div_(count).bfloat16()
            grad_hidden[rows] = (surplus @ embedding).float()
            grad_embedding += surplus.t() @ inputs
        ctx.save_for_backward(grad_hidden, grad_embedding)
        return hidden.new_tensor(total / count)

    @staticmethod
    def backward(ctx, grad):
        grad_hidden, grad_embedding = ctx.saved_tensors
        return grad_hidden * grad, (grad_embedding * grad).bfloat16(), None, None


def schedule(step: int, steps: int, warmup: int = 20) -> float:
    """Linear warm-up, then half a cosine to a twentieth."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.05 + 0.95 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


@torch.inference_mode()
def source_hidden(source, ids, batch: int = 4) -> torch.Tensor:
    """Final hidden states of the source for all texts, float16 (bfloat16 matmuls, float32 residual)."""
    half = {name: weight.bfloat16() for name, weight in source.items() if weight.dim() == 2}

    def linear(name, x):
        return F.linear(x.bfloat16(), half[name + ".weight"]).float()

    return torch.cat([llama.final_hidden(source, part, linear).half() for part in ids.split(batch)])


def distill(
    source,
    quantized: Quantized,
    ids,
    wanted,
    steps: int,
    batch: int = 8,
    rate: float = 5e-5,
    seed: int = 0,
    log=print,
) -> Quantized:
    """Returns a new Quantized after `steps` updates of all weights, block scales and norms.

    `wanted` are the source's final hidden states for `ids`. NF4 weights are rounded in every step; LLM.int8
    weights move as they are and are rounded again at the end.
    """
    wanted_embedding = source[llama.EMBEDDING].bfloat16()
    weights = {n: quantized.latent.get(n, w).clone().requires_grad_() for n, w in quantized.state.items()}
    scales = {name: absmax.log().requires_grad_() for name, absmax in quantized.absmax.items()}
    optimizer = torch.optim.Adam(
        [
            {"params": [w for w in weights.values() if w.dim() == 2], "lr": rate},
            {"params": list(scales.values()), "lr": rate * 10},
            {"params": [w for w in weights.values() if w.dim() == 1], "lr": rate * 4},
        ],
        betas=(0.9, 0.98),
        fused=True,
    )
    rates = [group["lr"] for group in optimizer.param_groups]

    def matrix(name):
        return Rounded.apply(weights[name], scales[name].exp()) if name in scales else weights[name].bfloat16()

    def linear(name, x):
        return F.linear(x.bfloat16(), matrix(name + ".weight")).float()

    generator = torch.Generator().manual_seed(seed)
    order = torch.cat([torch.randperm(len(ids), generator=generator) for _ in range(steps * batch // len(ids) + 1)])
    norms = {name: weight for name, weight in weights.items() if weight.dim() == 1}
    began, average = time.monotonic(), None
    for step in range(steps):
        rows = order[step * batch : (step + 1) * batch]
        for group, top in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = top * schedule(step, steps)
        embedding = matrix(llama.EMBEDDING)
        hidden = llama.final_hidden({**norms, llama.EMBEDDING: embedding}, ids[rows], linear).flatten(0, 1)
        loss = HeadLoss.apply(hidden, embedding, wanted[rows].flatten(0, 1), wanted_embedding)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        average = loss.item() if average is None else 0.95 * average + 0.05 * loss.item()
        if step % 5 == 0 or step == steps - 1:
            log(f"step {step} loss {loss.item():.4f} average {average:.4f} {time.monotonic() - began:.0f} s")
    return settle(weights, scales)


@torch.no_grad()
def settle(weights, scales) -> Quantized:
    """Double-quantises the scales and rounds the weights for the last time."""
    result = Quantized({name: weight.detach() for name, weight in weights.items()})
    for name, weight in weights.items():
        if name in scales:
            absmax = scales[name].exp()
            result.set_nf4(name, nf4.codes_for(weight, nf4.recovered(absmax)), absmax, weight.detach())
        elif weight.dim() == 2:
            result.set_int8(name)
    return result
