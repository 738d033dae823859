"""Text that the model writes itself: the only text that its quantisation sees.

Data-free calibration by sampling from the model is the method of LLM-QAT (Liu et al., 2023). Half of the
sequences start from a chat opening, with the rest of the user's question left to the model, half from a
single word of the vocabulary; where a plain text ends, another word starts the next one.
"""

from pathlib import Path

import torch

from .llama import Decoder

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
OPENINGS = (
    "What", "How", "Why", "When", "Who", "Where", "Which", "Can you", "Could you", "Is", "Are", "Do", "Does",
    "Write", "Explain", "Describe", "Give me", "List", "Summarize", "Translate", "Compare", "Tell me", "Help me",
    "Create", "Suggest", "Find", "Solve", "Rewrite", "Name", "Define", "I", "I'm", "My", "The", "In", "If", "Please",
    "Hello", "Hi", "As", "Imagine", "Let's", "Show me", "Generate",
)  # fmt: skip
END_OF_TEXT = 0


def starts(tokenizer, rows: int, generator: torch.Generator) -> list[list[int]]:
    """The forced ids at the head of each row: chat openings in even rows, a word in odd ones."""
    prefixes = []
    for row in range(rows):
        if row % 2 == 0:
            opening = OPENINGS[int(torch.randint(len(OPENINGS), (1,), generator=generator))]
            text = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{opening}"
            prefixes.append(tokenizer.encode(text).ids)
        else:
            prefixes.append([random_word(tokenizer, generator)])
    return prefixes


def random_word(tokenizer, generator: torch.Generator) -> int:
    while True:
        index = int(torch.randint(tokenizer.get_vocab_size(), (1,), generator=generator))
        token = tokenizer.id_to_token(index)
        if token.isascii() and token.isalpha() and token[0].isupper() and len(token) > 2:
            return index


def sample(logits, temperature, generator):
    """One id a row, by inverting the cumulative distribution."""
    cumulative = (logits.float() / temperature).softmax(-1).cumsum(-1)
    draw = torch.rand(len(cumulative), 1, generator=generator) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, draw).squeeze(1).clamp_(max=cumulative.shape[1] - 1)


@torch.inference_mode()
def write_text(state, tokenizer, rows: int, length: int, seed: int) -> torch.Tensor:
    """(rows, length) ids written by the model; a quarter of the rows at temperature 0.7, the rest at 1."""
    generator = torch.Generator().manual_seed(seed)
    prefixes = starts(tokenizer, rows, generator)
    temperature = torch.ones(rows, 1)
    temperature[rows * 3 // 4 :] = 0.7
    plain = torch.arange(rows) % 2 == 1
    decoder = Decoder(state, rows, length)
    ids = torch.zeros(rows, length, dtype=torch.long)
    ids[:, 0] = torch.tensor([prefix[0] for prefix in prefixes])
    for t in range(1, length):
        chosen = sample(decoder.step(ids[:, t - 1]), temperature, generator)
        ended = plain & (ids[:, t - 1] == END_OF_TEXT)
        for row in ended.nonzero().flatten().tolist():
            chosen[row] = random_word(tokenizer, generator)
        for row, prefix in enumerate(prefixes):
            if t < len(prefix):
                chosen[row] = prefix[t]
        ids[:, t] = chosen
    return ids


def cached_text(folder: Path, state, tokenizer, rows: int, length: int, seed: int) -> torch.Tensor:
    path = folder / f"calibration-{rows}x{length}-seed{seed}.pt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(write_text(state, tokenizer, rows, length, seed).to(torch.int32), path)
    return torch.load(path).long()
