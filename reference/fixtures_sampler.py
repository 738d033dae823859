"""Sampling: transformers' own chain on random logits, as a generation_config.json asks for it.

Each case has the config, prompt and answer so far, and what transformers' processors leave: ids and probabilities.
Logits are f32, few, and no two of them tie; transformers computes with them in f64.
"""

import json

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

VOCAB = 160
PROMPT = [5, 9, 9, 21, 5, 9, 30]
ANSWER = [41, 42, 41, 42, 41]

ALL = {"temperature": 1.3, "top_h": 0.9, "top_k": 60, "top_p": 0.97, "min_p": 0.01, "typical_p": 0.9, "epsilon_cutoff": 0.004, "eta_cutoff": 0.02}
DRAWS = [
    {},
    {"temperature": 0.4},
    {"top_k": 7},
    {"top_k": 1},
    {"top_p": 0.9},
    {"top_p": 0.2, "temperature": 2.5},
    {"min_p": 0.1},
    {"min_p": 1.0},
    {"min_p": 0.02, "temperature": 3.0},
    {"typical_p": 0.2},
    {"typical_p": 0.7},
    {"typical_p": 0.95, "temperature": 2.0},
    {"epsilon_cutoff": 0.01},
    {"epsilon_cutoff": 0.5},
    {"eta_cutoff": 0.05},
    {"eta_cutoff": 0.4, "temperature": 2.0},
    {"top_h": 0.3},
    {"top_h": 0.8, "temperature": 2.0},
    {"top_h": 1.0},
    {"top_k": 20, "top_p": 0.8},
    {"top_p": 0.9, "min_p": 0.05, "typical_p": 0.8},
    {"typical_p": 0.5, "epsilon_cutoff": 0.02, "eta_cutoff": 0.1, "temperature": 1.7},
    ALL,
]
PROCESSORS = [
    {"repetition_penalty": 1.5},
    {"repetition_penalty": 0.7},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2},
    {"no_repeat_ngram_size": 3},
    {"bad_words_ids": [[3], [42, 41, 17], [41, 18], [30, 19], [2]]},
    {"suppress_tokens": [0, 7, 150]},
    {"begin_suppress_tokens": [1, 8]},
    {"min_new_tokens": 6},
    {"min_new_tokens": 5},
    {"min_length": 13},
    {"sequence_bias": [[[6], 4.0], [[12], -7.5]]},
    {"sequence_bias": [[[41], 4.0]], "repetition_penalty": 1.8, "no_repeat_ngram_size": 2, "suppress_tokens": [43], "min_new_tokens": 9},
]


def logits(seed: int, scale: float) -> torch.Tensor:
    values = torch.randn(VOCAB, generator=torch.Generator().manual_seed(seed)) * scale
    rounded = [float(f"{value:.6g}") for value in values.tolist()]
    assert len(set(rounded)) == VOCAB
    return torch.tensor(rounded)


def left(model, config: dict, ids: list[int], scores: torch.Tensor) -> torch.Tensor:
    generation = GenerationConfig(**{"do_sample": True, **config}, eos_token_id=[2, 4])
    generation, _ = model._prepare_generation_config(generation)
    model._prepare_special_tokens(generation, device="cpu")
    chain = model._get_logits_processor(generation, input_ids_seq_length=len(PROMPT), device="cpu")
    return chain(torch.tensor([ids]), scores[None].double())[0]


def make(folder) -> None:
    small = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=VOCAB)
    model = LlamaForCausalLM(LlamaConfig(**small))
    cases = []
    all_logits = [logits(seed, scale) for seed, scale in ((1, 3.0), (2, 1.0), (3, 0.3))]
    asked = [({"do_sample": True, **draws}, ANSWER) for draws in DRAWS]
    asked += [({"top_k": 0, "do_sample": True, **one}, answer) for one in PROCESSORS for answer in ([], ANSWER)]
    asked.append(({"do_sample": True, **ALL, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3}, ANSWER))
    for config, answer in asked:
        for which, scores in enumerate(all_logits):
            kept = left(model, config, PROMPT + answer, scores)
            ids = torch.nonzero(kept > -float("inf")).flatten()
            # of many, those that say the most
            shown = ids[torch.argsort(kept[ids], descending=True)][:20]
            cases.append(
                {
                    "config": config,
                    "logits": which,
                    "answer": answer,
                    "kept": len(ids),
                    "sum": int(ids.sum()),
                    "least": int(ids[torch.argmin(kept[ids])]),
                    "ids": shown.tolist(),
                    "p": [float(f"{p:.8g}") for p in kept.softmax(-1)[shown].tolist()],
                }
            )
    folder.mkdir(parents=True, exist_ok=True)
    file = {"prompt": PROMPT, "eos": [2, 4], "logits": [[float(f"{v:.6g}") for v in one.tolist()] for one in all_logits], "cases": cases}
    (folder / "transformers.json").write_text(json.dumps(file, separators=(",", ":")) + "\n")
