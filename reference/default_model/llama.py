"""SmolLM2's forward pass on a plain dict of float32 tensors with Hugging Face names.

Small enough to be taken apart: the quantiser stops between the parts of a layer, the distillation
replaces its linears. Checked against transformers in make_default_model.py.
"""

import torch
import torch.nn.functional as F

LAYERS, WIDTH, HEADS, KV_HEADS, HEAD_DIM, INTERMEDIATE, VOCAB = 30, 576, 9, 3, 64, 1536, 49152
EPS, ROPE_BASE = 1e-5, 100000.0
ATTENTION_INPUTS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
MLP_INPUTS = ("mlp.gate_proj", "mlp.up_proj")
LINEARS = (*ATTENTION_INPUTS, "self_attn.o_proj", *MLP_INPUTS, "mlp.down_proj")
EMBEDDING, FINAL_NORM = "model.embed_tokens.weight", "model.norm.weight"


def linear_names() -> list[str]:
    """Module names of the 210 linears, in forward order."""
    return [f"model.layers.{layer}.{kind}" for layer in range(LAYERS) for kind in LINEARS]


def rms_norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * weight


def rotary_tables(length: int):
    """cos and sin, each (length, HEAD_DIM), split-half layout."""
    frequency = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float32) / HEAD_DIM)
    angle = torch.outer(torch.arange(length, dtype=torch.float32), frequency)
    return torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1)


def rotate(x, cos, sin):
    low, high = x.chunk(2, -1)
    return x * cos + torch.cat([-high, low], -1) * sin


def split_heads(x, heads):
    return x.unflatten(-1, (heads, HEAD_DIM)).transpose(-3, -2)  # (B, T, heads * d) -> (B, heads, T, d)


def attend(q, k, v, cos, sin):
    """Causal grouped-query attention on projected (B, T, *) inputs; returns the input of o_proj."""
    q = rotate(split_heads(q, HEADS), cos, sin)
    k = rotate(split_heads(k, KV_HEADS), cos, sin)
    v = split_heads(v, KV_HEADS)
    group = HEADS // KV_HEADS
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


def final_hidden(state, ids, linear=None):
    """Normed hidden states (B, T, WIDTH) of ids (B, T); `linear(name, x)` may replace a projection."""
    linear = linear or (lambda name, x: F.linear(x, state[name + ".weight"]))
    cos, sin = rotary_tables(ids.shape[1])
    x = F.embedding(ids, state[EMBEDDING]).float()
    for layer in range(LAYERS):
        p = f"model.layers.{layer}."
        h = rms_norm(x, state[p + "input_layernorm.weight"])
        q, k, v = (linear(p + name, h) for name in ATTENTION_INPUTS)
        x = x + linear(p + "self_attn.o_proj", attend(q, k, v, cos, sin))
        h = rms_norm(x, state[p + "post_attention_layernorm.weight"])
        gate, up = (linear(p + name, h) for name in MLP_INPUTS)
        x = x + linear(p + "mlp.down_proj", F.silu(gate) * up)
    return rms_norm(x, state[FINAL_NORM])


class Decoder:
    """Batched decoding, one token a call, with a preallocated key and value cache."""

    def __init__(self, state, batch: int, capacity: int, dtype=torch.bfloat16):
        self.state = {name: weight.to(dtype) for name, weight in state.items()}
        self.keys = torch.zeros(LAYERS, batch, KV_HEADS, capacity, HEAD_DIM, dtype=dtype)
        self.values = torch.zeros_like(self.keys)
        self.cos, self.sin = (table.to(dtype) for table in rotary_tables(capacity))
        self.position = 0

    def step(self, ids):
        """Logits (B, VOCAB) after feeding ids (B,) at the next position."""
        state, t = self.state, self.position
        cos, sin = self.cos[t], self.sin[t]
        x = F.embedding(ids, state[EMBEDDING])
        for layer in range(LAYERS):
            p = f"model.layers.{layer}."
            h = rms_norm(x, state[p + "input_layernorm.weight"])
            q, k, v = (F.linear(h, state[p + name + ".weight"]) for name in ATTENTION_INPUTS)
            self.keys[layer, :, :, t] = rotate(k.unflatten(-1, (KV_HEADS, HEAD_DIM)), cos, sin)
            self.values[layer, :, :, t] = v.unflatten(-1, (KV_HEADS, HEAD_DIM))
            # the query heads of one group attend as so many queries of one key head
            q = rotate(q.unflatten(-1, (HEADS, HEAD_DIM)), cos, sin).unflatten(1, (KV_HEADS, HEADS // KV_HEADS))
            keys, values = self.keys[layer, :, :, : t + 1], self.values[layer, :, :, : t + 1]
            mixed = F.scaled_dot_product_attention(q, keys, values).flatten(1)
            x = x + F.linear(mixed, state[p + "self_attn.o_proj.weight"])
            h = rms_norm(x, state[p + "post_attention_layernorm.weight"])
            gate, up = (F.linear(h, state[p + name + ".weight"]) for name in MLP_INPUTS)
            x = x + F.linear(F.silu(gate) * up, state[p + "mlp.down_proj.weight"])
        self.position += 1
        return F.linear(rms_norm(x, state[FINAL_NORM]), state[EMBEDDING])
