"""What a shift costs in perplexity, by torch: the same measurement as bench/shift.ts, with code that shares none of ours.

    python reference/shift_perplexity.py [fill keep drop next]

The default model's own weights, dequantised to float32; bench/texts/prose.txt. Prints the sums after every window, as the
benchmark does. Takes two minutes on one core. Result: bench/shift.md.
"""
import math
import sys
from pathlib import Path

import torch
from default_model import check, checkpoint
from tokenizers import Tokenizer
from transformers.cache_utils import DynamicCache

FILL, KEEP, DROP, NEXT = [int(arg) for arg in sys.argv[1:]] or [512, 4, 128, 128]
ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "public/models/smollm2-135m-instruct-nf4"

model = check.transformers_model(FOLDER, checkpoint.read_state(FOLDER))
text = (ROOT / "bench/texts/prose.txt").read_text()
ids = torch.tensor(Tokenizer.from_file(str(FOLDER / "tokenizer.json")).encode(text, add_special_tokens=False).ids)

half = model.config.head_dim // 2
angles = DROP / model.config.rope_parameters["rope_theta"] ** (torch.arange(half) / half)
cos, sin = angles.cos().repeat(2), angles.sin().repeat(2)


def turned_back(keys):
    """Keys as they would be DROP positions earlier."""
    first, second = keys[..., :half], keys[..., half:]
    return keys * cos + torch.cat([second, -first], -1) * sin


def kept(cache):
    """The cache of FILL tokens, without DROP of them after the first KEEP."""
    out = DynamicCache()
    for i, layer in enumerate(cache.layers):
        keys, values = layer.keys[:, :, :FILL], layer.values[:, :, :FILL]
        keys = torch.cat([keys[:, :, :KEEP], turned_back(keys[:, :, KEEP + DROP :])], 2)
        out.update(keys, torch.cat([values[:, :, :KEEP], values[:, :, KEEP + DROP :]], 2), i)
    return out


def losses(logits, tokens):
    """Nats, of all tokens but the first."""
    return torch.nn.functional.cross_entropy(logits[:-1], tokens[1:], reduction="none")


shifted, fresh, whole = torch.empty(0), torch.empty(0), torch.empty(0)
print(f"{FILL} tokens, of which {DROP} after {KEEP} go")
print("| windows | tokens | shifted | fresh prefill of what is kept | nothing dropped | shifted / fresh |")
with torch.no_grad():
    for window, start in enumerate(range(0, len(ids) - FILL - NEXT + 1, NEXT)):
        before, after = ids[start : start + FILL], ids[start + FILL : start + FILL + NEXT]
        cache = model(before[None], use_cache=True, logits_to_keep=1).past_key_values
        short = kept(cache)
        whole = torch.cat([whole, losses(model(after[None], past_key_values=cache).logits[0], after)])
        shifted = torch.cat([shifted, losses(model(after[None], past_key_values=short).logits[0], after)])
        seen = torch.cat([before[:KEEP], before[KEEP + DROP :], after])
        fresh = torch.cat([fresh, losses(model(seen[None], logits_to_keep=NEXT).logits[0], after)])

        difference = shifted - fresh
        error = difference.std() / math.sqrt(len(difference))
        figures = [f"{each.mean().exp():.3f}" for each in (shifted, fresh, whole)]
        ratio = f"{difference.mean().exp():.4f} ± {error:.4f}"
        print(f"| {' | '.join([str(window + 1), str(len(fresh)), *figures, ratio])} |", flush=True)
