"""Checks of a written model directory: against bitsandbytes' own dequantisation, and against transformers."""

import json
from pathlib import Path

import torch


def check_bitsandbytes(folder: Path, state: dict[str, torch.Tensor]) -> int:
    """Dequantises every NF4 matrix with bitsandbytes and compares bit for bit; returns how many there were."""
    from bitsandbytes.functional import QuantState, dequantize_4bit
    from safetensors.torch import load_file

    stored = {}
    for path in sorted(folder.glob("*.safetensors")):
        stored |= load_file(path)
    suffix = ".quant_state.bitsandbytes__nf4"
    names = [name.removesuffix(suffix) for name in stored if name.endswith(suffix)]
    for name in names:
        pieces = {key: value for key, value in stored.items() if key.startswith(name + ".")}
        quant_state = QuantState.from_dict(pieces, device=torch.device("cpu"))
        theirs = dequantize_4bit(stored[name], quant_state)
        difference = (theirs - state[name]).abs().max().item()
        if difference > 1e-6:
            raise AssertionError(f"{name}: bitsandbytes reads it differently, by {difference}")
    return len(names)


def transformers_model(folder: Path, state: dict[str, torch.Tensor]):
    """transformers' float32 LlamaForCausalLM with the given weights and the folder's configuration."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = json.loads((folder / "config.json").read_text())
    config.pop("quantization_config", None)
    model = LlamaForCausalLM(LlamaConfig(**config)).float().eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise AssertionError(f"missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model


def chat_ids(tokenizer, prompt: str) -> list[int]:
    """The prompt as one user turn through the model's chat template."""
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=True, return_dict=False
    )


@torch.inference_mode()
def greedy(model, ids: list[int], count: int, stop: int | None = None):
    """Greedy ids, the margin top1 - top2 at every step, and the logits at the last prompt position."""
    output = model(torch.tensor([ids]), use_cache=True)
    first = output.logits[0, -1]
    logits, chosen, margins = first, [], []
    for _ in range(count):
        top = logits.topk(2)
        index = int(top.indices[0])
        if index == stop:
            break
        chosen.append(index)
        margins.append(float(top.values[0] - top.values[1]))
        output = model(torch.tensor([[index]]), past_key_values=output.past_key_values, use_cache=True)
        logits = output.logits[0, -1]
    return chosen, margins, first
