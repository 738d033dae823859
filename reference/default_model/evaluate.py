"""Perplexity, and agreement with the source model, over fixed windows of a text.

Windowing: the text is tokenised without special tokens and without BOS, cut into non-overlapping windows
of W tokens, a shorter window at the end dropped. The loss is the mean negative log-likelihood over the
W - 1 predicted tokens of each window; perplexity is exp of the mean over all windows.
"""

import math

import torch
import torch.nn.functional as F

from . import llama

ROWS = 256  # logits rows at a time


def windows(tokenizer, text: str, length: int, limit: int | None = None) -> torch.Tensor:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    count = len(ids) // length
    if limit is not None:
        count = min(count, limit)
    return torch.tensor(ids[: count * length]).view(count, length)


@torch.inference_mode()
def hidden_of(state, ids: torch.Tensor) -> torch.Tensor:
    return torch.cat([llama.final_hidden(state, row.unsqueeze(0)) for row in ids])


@torch.inference_mode()
def measure(state, ids: torch.Tensor, source=None, source_hidden=None) -> dict[str, float]:
    """perplexity; with a source state and its hidden states also kl (source to state) and top1 agreement."""
    hidden = hidden_of(state, ids)
    loss = kl = same = 0.0
    predicted = ids.shape[0] * (ids.shape[1] - 1)
    for window in range(ids.shape[0]):
        targets = ids[window, 1:]
        for start in range(0, len(targets), ROWS):
            span = slice(start, min(start + ROWS, len(targets)))
            logits = F.linear(hidden[window, span], state[llama.EMBEDDING])
            loss += F.cross_entropy(logits, targets[span], reduction="sum").item()
            if source is not None:
                wanted = F.linear(source_hidden[window, span], source[llama.EMBEDDING])
                log_p, log_q = wanted.log_softmax(-1), logits.log_softmax(-1)
                kl += (log_p.exp() * (log_p - log_q)).sum().item()
                same += (wanted.argmax(-1) == logits.argmax(-1)).sum().item()
    report = {"perplexity": math.exp(loss / predicted), "nll": loss / predicted}
    if source is not None:
        report |= {"kl": kl / predicted, "top1": same / predicted}
    return report
