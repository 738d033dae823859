"""Tiny models that embed, rerank and score, with what sentence-transformers (6.2) and transformers make of them in f32.

    pip install sentence-transformers
    python3 reference/fixtures_embeddings.py

Four folders of fixtures/embeddings, of random bf16 weights and a byte-level BPE of 300 tokens:

    qwen3-embedding  Qwen3 without a head, names without `model.`; last token, Normalize, prompts; 6.x's own files
    e5-mistral       MistralModel (its head is in no file); last token behind `</s>`; files as 2.x wrote them
    dense            LlamaModel; mean without the prompt's tokens, two Dense (Tanh with a bias, Identity), max_seq_length
    qwen3-reranker   a causal LM, asked as its card has it; what it says of given texts stands beside that

expected.json of the first three: `cases`, of each what is given (texts, prompt, dimensions, pooling), `ids` of each text
and its vector, as SentenceTransformer.encode() returns it. Of the last: `rerank` (query, documents, scores), and `score`
(texts, ids, the log-probability of every id but the first).
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from fixtures_common import bf16, write_json

OUT = Path(__file__).parent / "fixtures" / "embeddings"
TEXTS = ["What is the capital of China?", "The capital of China is Beijing.", "é😀 \n\t Gravity", "", "no"]
CORPUS = [
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided.",
    'Note that the answer can only be "yes" or "no". system user assistant yes no yes no',
    "Given a web search query, retrieve relevant passages that answer the query. What is the capital of China?",
] * 3
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<s>", "</s>"]
SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 512,
}


def tokenizer_with(single: list[str]) -> transformers.PreTrainedTokenizerFast:
    """@param single the template around a text, as in TemplateProcessing"""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    assert tokenizer.token_to_id("yes") and tokenizer.token_to_id("no"), "both answers are tokens"
    if single != ["$A"]:
        special = [(name, tokenizer.token_to_id(name)) for name in single if name != "$A"]
        tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=special)
    eos = "</s>" if "</s>" in single else "<|im_end|>"
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=eos, pad_token="<|endoftext|>", model_max_length=512
    )


def weights(model: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    out = {}
    for key, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        values = rng.uniform(0.5, 1.5, shape) if len(shape) == 1 else rng.standard_normal(shape) * 1.5 / np.sqrt(shape[1])
        out[key] = bf16(values)
    return out


def save_base(folder: Path, model: torch.nn.Module, tokenizer, seed: int, names=lambda key: key, **config):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    values = weights(model, seed)
    model.load_state_dict({key: value.float() for key, value in values.items()}, strict=True)
    tied = model.config.tie_word_embeddings
    kept = {names(key): value for key, value in values.items() if not (tied and key == "lm_head.weight")}
    save_file(kept, str(folder / "model.safetensors"), {"format": "pt"})
    tokenizer.save_pretrained(folder)
    write_json(folder / "config.json", {**json.loads(model.config.to_json_string()), "dtype": "bfloat16", **config}, 2)


def case(model: SentenceTransformer, texts, given: dict, **how):
    """What encode() makes of texts, one by one: its padding moves the last digits."""
    prompt = model.prompts[given["prompt"]] if given.get("prompt") else ""
    if "prompt" not in given and model.default_prompt_name:
        prompt = model.prompts[model.default_prompt_name]
    ids = [model.tokenizer(prompt + text)["input_ids"] for text in texts]
    named = {"prompt_name": given["prompt"]} if given.get("prompt") else ({"prompt": ""} if "prompt" in given else {})
    vectors = [model.encode([text], convert_to_numpy=True, **named, **how)[0] for text in texts]
    return {"given": given, "texts": texts, "ids": ids, "vectors": [[float(f"{x:.8g}") for x in v] for v in vectors]}


def loaded(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"})


def qwen3_embedding():
    folder = OUT / "qwen3-embedding"
    tokenizer = tokenizer_with(["$A", "<|endoftext|>"])
    config = transformers.Qwen3Config(**SIZES, vocab_size=len(tokenizer) + 3, tie_word_embeddings=True)
    save_base(folder, transformers.Qwen3Model(config), tokenizer, 1, architectures=["Qwen3ForCausalLM"])
    base = Transformer(str(folder))
    whole = SentenceTransformer(
        modules=[base, Pooling(32, pooling_mode="lasttoken"), Normalize()], device="cpu",
        prompts={"query": "Instruct: answer the query\nQuery:", "document": ""}, similarity_fn_name="cosine")
    saved = folder.parent / "saved"
    whole.save(str(saved), create_model_card=False)
    for name in ("modules.json", "config_sentence_transformers.json", "1_Pooling"):
        shutil.move(saved / name, folder / name)
    shutil.rmtree(saved)
    model = loaded(folder)
    cases = [case(model, TEXTS, {}), case(model, TEXTS[:2], {"prompt": "query"}),
             case(model, TEXTS[:2], {"prompt": "query", "dimensions": 8}, truncate_dim=8, normalize_embeddings=True)]
    for mode in ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean"):
        other = SentenceTransformer(modules=[model[0], Pooling(32, pooling_mode=mode)], device="cpu", prompts=model.prompts)
        cases.append(case(other, TEXTS[:2], {"pooling": mode, "normalize": False}))
    write_json(folder / "expected.json", {"cases": cases})


def e5_mistral():
    folder = OUT / "e5-mistral"
    tokenizer = tokenizer_with(["<s>", "$A", "</s>"])
    config = transformers.MistralConfig(**SIZES, vocab_size=len(tokenizer), tie_word_embeddings=False, sliding_window=9)
    save_base(folder, transformers.MistralModel(config), tokenizer, 2, architectures=["MistralModel"])
    old = "sentence_transformers.models"
    write_json(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": f"{old}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{old}.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{old}.Normalize"}], 2)
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    write_json(folder / "1_Pooling" / "config.json", {
        "word_embedding_dimension": 32, **{f"pooling_mode_{mode}": mode == "lasttoken" for mode in modes},
        "include_prompt": True}, 2)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False}, 2)
    write_json(folder / "config_sentence_transformers.json", {
        "prompts": {"web_search_query": "Instruct: Given a web search query\nQuery: ", "sts_query": "Instruct: Similar\nQuery: "},
        "default_prompt_name": None}, 2)
    model = loaded(folder)
    write_json(folder / "expected.json", {"cases": [
        case(model, TEXTS, {}), case(model, TEXTS[:2], {"prompt": "web_search_query"})]})


def dense():
    folder = OUT / "dense"
    tokenizer = tokenizer_with(["<s>", "$A"])
    config = transformers.LlamaConfig(**SIZES, vocab_size=len(tokenizer), tie_word_embeddings=False)
    save_base(folder, transformers.LlamaModel(config), tokenizer, 3, architectures=["LlamaModel"])
    torch.manual_seed(3)
    base = Transformer(str(folder), max_seq_length=64)
    whole = SentenceTransformer(
        modules=[base, Pooling(32, pooling_mode="mean", include_prompt=False), Dense(32, 40),
                 Dense(40, 24, bias=False, activation_function=torch.nn.Identity())],
        device="cpu", prompts={"query": "query: ", "passage": "passage: "}, default_prompt_name="passage")
    saved = folder.parent / "saved"
    whole.save(str(saved), create_model_card=False)
    for name in ("modules.json", "config_sentence_transformers.json", "1_Pooling", "2_Dense", "3_Dense"):
        shutil.move(saved / name, folder / name)
    shutil.rmtree(saved)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False}, 2)
    first = folder / "2_Dense" / "config.json"
    facts = json.loads(first.read_text())
    assert "Tanh" in facts.pop("activation_function")  # absent means the same
    write_json(first, facts, 2)
    model = loaded(folder)
    write_json(folder / "expected.json", {"cases": [
        case(model, TEXTS, {"prompt": ""}), case(model, TEXTS[:3], {}), case(model, TEXTS[:3], {"prompt": "query"})]})


SYSTEM = ("Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
          'Note that the answer can only be "yes" or "no".')
INSTRUCT = "Given a web search query, retrieve relevant passages that answer the query"
DOCUMENTS = ["The capital of China is Beijing.", "Gravity attracts bodies.", "", "yes no 😀"]


@torch.no_grad()
def qwen3_reranker():
    folder = OUT / "qwen3-reranker"
    tokenizer = tokenizer_with(["$A"])
    config = transformers.Qwen3Config(**SIZES, vocab_size=len(tokenizer), tie_word_embeddings=True)
    model = transformers.Qwen3ForCausalLM(config)
    model.tie_weights()
    save_base(folder, model.eval(), tokenizer, 4, architectures=["Qwen3ForCausalLM"])
    model = transformers.Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False)  # noqa: E731
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    prefix = encode(f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n")
    suffix = encode("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n")

    def score(query, document, instruct):
        ids = prefix + encode(f"<Instruct>: {instruct}\n<Query>: {query}\n<Document>: {document}") + suffix
        last = model(torch.tensor([ids])).logits[0, -1]
        return float(torch.softmax(last[[no, yes]], 0)[1])

    query = "What is the capital of China?"
    rerank = [{"query": query, "documents": DOCUMENTS, "instruction": instruct,
               "scores": [score(query, document, instruct or INSTRUCT) for document in DOCUMENTS]}
              for instruct in (None, "Find what answers.")]
    texts = ["Judge whether the Document meets the requirements", "no", "<|im_start|>user\nyes<|im_end|>"]
    ids = [encode(text) for text in texts]
    logs = [torch.log_softmax(model(torch.tensor([each])).logits[0].double(), -1) for each in ids]
    found = [[float(f"{row[at, each[at + 1]]:.8g}") for at in range(len(each) - 1)] for row, each in zip(logs, ids)]
    write_json(folder / "expected.json", {"rerank": rerank, "score": {"texts": texts, "ids": ids, "logProbs": found}})


if __name__ == "__main__":
    for make in (qwen3_embedding, e5_mistral, dense, qwen3_reranker):
        make()
        print(make.__name__)
