"""Small tokenizers of every kind that the families use, and chat templates, with what Rust's `tokenizers`, an own
SentencePiece and transformers make of them: tokenizer/parts.json and tokenizer/templates.json.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from fixtures_tokenizer import CORPUS

STRINGS = [
    "",
    " ",
    "  ",
    "\n",
    "the cat",
    " the  cat ",
    "   the\n\n\nmen",
    "\t\tthe\t",
    "a<s>the</s>  b",
    "<s>",
    "</s> <s>the",
    "<tool>the<tool> men<sep>",
    "x <word> y",
    "x<word>y",
    "in <word>, on",
    "THE<Sep>",
    " <sep>  the",
    "a  <left>  b  <right>  c",
    "1984 \u0663\u0664 \u00bd\u00b2 \u2167",
    "don't they'll",
    "caf\u00e9 cafe\u0301 \u212b",
    "\ufeffthe \ufeff! \ufeff\ufeff",
    "a\u0085b \u0085\u0085c \u2028 \u3000d",
    "\U0001f642\U0001f468\u200d\U0001f469",
    "\u4f60\u597d \u05e9\u05dc",
    "\u0000\u0001\u007f",
    "\u2581the \u2581\u2581",
    "<0x41>",
    "\ufffd",
    "thethethethe",
    "in the morning of the day,  and",
    "\n\n\n\n\n\n\n",
    " " * 11 + "the",
    "\u0120the",
]


def token(content, **flags):
    base = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return {"content": content, **base, **flags}


ADDED = [
    token("<tool>"),
    token("<word>", single_word=True),
    token("<sep>", normalized=True),
    token("<left>", lstrip=True),
    token("<right>", rstrip=True, special=True),
]


def with_added(model: dict, special: list[str], **parts) -> dict:
    size = len(model["vocab"])
    added = [{"id": model["vocab"][t], **token(t, special=True)} for t in special]
    added += [{"id": size + i, **t} for i, t in enumerate(ADDED)]
    empty = {"normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        **empty,
        **parts,
        "model": model,
    }


def byte_level() -> dict:
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<s>", "</s>"]
    tok.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=340, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    return with_added(json.loads(tok.to_str())["model"], special, decoder=LEVEL)


# ---- SentencePiece --------------------------------------------------------------------------------------------------

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


def pieces():
    """A vocabulary as GGUF has it: tokens, scores and types; runs of spaces and newlines are user-defined as "
    "Gemma's."""
    tok = Tokenizer(models.BPE(unk_token="<unk>"))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tok.train_from_iterator(
        [" ".join(CORPUS)],
        trainers.BpeTrainer(vocab_size=190, show_progress=False, initial_alphabet=list("\u00e9\u4f60\ufeff0123")),
    )
    model = json.loads(tok.to_str())["model"]
    made = [a + b for a, b in model["merges"]]
    letters = [t for t in sorted(model["vocab"], key=model["vocab"].get) if t not in made]
    rows = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    rows += [("\n" * n, -1000.0, USER_DEFINED) for n in range(2, 6)] + [
        (" " * n, -1000.0, USER_DEFINED) for n in range(2, 6)
    ]
    rows += [(f"<0x{b:02X}>", 0.0, BYTE) for b in range(256)]
    rows += [(t, -float(i), NORMAL) for i, t in enumerate(dict.fromkeys(made + letters))]
    return rows


def sentencepiece(rows, text: str, prefix: bool) -> list[int]:
    """SentencePiece's BPE, by its definition: of all neighbours that make a token, join the one with the best score,
    the leftmost of equals; what is no token then becomes bytes. User-defined tokens are found first, the longest."""
    ids = {t.replace(" ", "\u2581"): i for i, (t, _, kind) in enumerate(rows) if kind in (NORMAL, USER_DEFINED)}
    fixed = sorted((t for t, i in ids.items() if rows[i][2] == USER_DEFINED), key=len, reverse=True)
    byte = {t: i for i, (t, _, kind) in enumerate(rows) if kind == BYTE}
    if not text:
        return []
    text = ("\u2581" if prefix else "") + text.replace(" ", "\u2581")
    symbols, frozen, at = [], [], 0
    while at < len(text):
        found = next((t for t in fixed if text.startswith(t, at)), None)
        symbols.append(found or text[at])
        frozen.append(found is not None)
        at += len(symbols[-1])
    while True:
        best = None
        for i in range(len(symbols) - 1):
            joined = ids.get(symbols[i] + symbols[i + 1])
            if frozen[i] or frozen[i + 1] or joined is None or rows[joined][2] != NORMAL:
                continue
            if best is None or rows[joined][1] > best[0]:
                best = (rows[joined][1], i)
        if best is None:
            break
        i = best[1]
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        del frozen[i + 1]
    out = []
    for s in symbols:
        out += [ids[s]] if s in ids else [byte[f"<0x{b:02X}>"] for b in s.encode()]
    return out


def sentencepiece_json(rows, prefix: bool) -> dict:
    """The same vocabulary as transformers would write it for Llama 2 (with the prefix) or for Gemma."""
    kinds = {t.replace(" ", "\u2581"): kind for t, _, kind in rows}
    vocab = {t.replace(" ", "\u2581"): i for i, (t, _, _) in enumerate(rows)}
    score = {t.replace(" ", "\u2581"): 0.0 if kind == USER_DEFINED else s for t, s, kind in rows}
    merges = []
    for joined in vocab:
        if kinds[joined] not in (NORMAL, USER_DEFINED):
            continue
        local = []
        for n in range(1, len(joined)):
            left, right = joined[:n], joined[n:]
            if kinds.get(left) in (NORMAL, USER_DEFINED) and kinds.get(right) in (NORMAL, USER_DEFINED):
                local.append((left, right))
        merges += sorted(local, key=lambda p: (vocab[p[0]], vocab[p[1]]))
    merges.sort(key=lambda p: (score[p[0] + p[1]], len(p[0]), len(p[1])), reverse=True)
    replace = normalizers.Replace(" ", "\u2581")
    out = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    tok = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), replace]) if prefix else replace
    tok.decoder = decoders.Sequence([*out, decoders.Strip(" ", 1, 0)] if prefix else out)
    parts = json.loads(tok.to_str())
    made = with_added(
        parts["model"], ["<unk>", "<s>", "</s>"], normalizer=parts["normalizer"], decoder=parts["decoder"]
    )
    user = [{"id": i, **token(t.replace(" ", "\u2581"))} for i, (t, _, kind) in enumerate(rows) if kind == USER_DEFINED]
    return {**made, "added_tokens": user + made["added_tokens"]}


# ---- parts ----------------------------------------------------------------------------------------------------------


def split(regex=None, behavior="Isolated", invert=False, string=None):
    pattern = {"Regex": regex} if regex else {"String": string}
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
WORDS = (
    "(?i:'s|'t|'ll)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)


def metaspace(**flags):
    return {"type": "Metaspace", "replacement": "\u2581", **flags}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


VARIANTS = {
    "byteLevel": {
        "GPT-2's regex": {"pre_tokenizer": {**LEVEL, "use_regex": True}},
        "single digits": {
            "pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, {**LEVEL, "use_regex": True})
        },
        "runs of digits": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False}, LEVEL)},
        "cl100k": {"pre_tokenizer": sequence(split(WORDS), LEVEL)},
        "inverted and removed": {"pre_tokenizer": sequence(split(WORDS, "Removed", True), LEVEL)},
        "inverted and isolated": {"pre_tokenizer": sequence(split("\\p{L}+", "Isolated", True), LEVEL)},
        "NFC": {"normalizer": {"type": "NFC"}, "pre_tokenizer": sequence(split(WORDS), LEVEL)},
        "merged with the previous": {
            "pre_tokenizer": sequence(split(string=" ", behavior="MergedWithPrevious"), LEVEL)
        },
        "no pre-tokenizer but bytes": {"pre_tokenizer": LEVEL},
    },
    "prefixed": {
        "Llama 2": {},
        "Metaspace, always": {
            "normalizer": None,
            "pre_tokenizer": metaspace(prepend_scheme="always", split=False),
        },
        "Metaspace, first": {"normalizer": None, "pre_tokenizer": metaspace(prepend_scheme="first", split=False)},
        "Metaspace, split": {"normalizer": None, "pre_tokenizer": metaspace(prepend_scheme="first", split=True)},
        "Metaspace of old": {"normalizer": None, "pre_tokenizer": metaspace(add_prefix_space=True)},
    },
    "bare": {
        "Gemma": {},
        "Metaspace, never": {
            "normalizer": None,
            "pre_tokenizer": metaspace(prepend_scheme="never", split=False),
            "decoder": {
                "type": "Sequence",
                "decoders": [metaspace(prepend_scheme="never", split=False), {"type": "ByteFallback"}],
            },
        },
    },
}


# The splits of the families' tokenizer.json, by the name that llama.cpp gives them.
CL100K = (
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
    "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)
UPPER, LOWER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
TEKKEN = (
    f"[^\\r\\n\\p{{L}}\\p{{N}}]?{UPPER}*{LOWER}+|[^\\r\\n\\p{{L}}\\p{{N}}]?{UPPER}+{LOWER}*"
    "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)
O200K = (
    TEKKEN.replace(f"{LOWER}+|", f"{LOWER}+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|")
    .replace(f"{LOWER}*|", f"{LOWER}*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|")
    .replace("|\\p{N}|", "|\\p{N}{1,3}|")
)
GPT2 = {**LEVEL, "use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}
GGUF_RULES = {
    "llama-bpe": {"pre_tokenizer": sequence(split(CL100K), LEVEL), "ignore_merges": True},
    "dbrx": {"pre_tokenizer": sequence(split(CL100K), LEVEL)},
    "qwen2": {"normalizer": {"type": "NFC"}, "pre_tokenizer": sequence(split(CL100K.replace("{1,3}", "")), LEVEL)},
    "gpt-4o": {"pre_tokenizer": sequence(split(O200K, "Removed", True), LEVEL)},
    "tekken": {"pre_tokenizer": sequence(split(TEKKEN), LEVEL), "ignore_merges": True},
    "smollm": {"pre_tokenizer": sequence(DIGITS, GPT2)},
    "refact": {"pre_tokenizer": sequence(DIGITS, GPT2)},
    "gpt-2": {"pre_tokenizer": GPT2},
}


def gguf_rules(base: dict, strings: list[str]) -> dict:
    out = {}
    for name, parts in GGUF_RULES.items():
        model = {**base["model"], "ignore_merges": parts.get("ignore_merges", False)}
        rest = {key: value for key, value in parts.items() if key != "ignore_merges"}
        tok = Tokenizer.from_str(json.dumps({**base, **rest, "model": model}))
        out[name] = [tok.encode(text, add_special_tokens=False).ids for text in strings]
    return out


def cases(spec: dict) -> dict:
    """Ids with special tokens parsed, ids where they are plain text if those differ, and text back if that "
    "differs."""
    tok = Tokenizer.from_str(json.dumps(spec))
    out = {"ids": [], "plain": {}, "decoded": {}}
    for i, text in enumerate(STRINGS):
        tok.encode_special_tokens = False
        ids = tok.encode(text, add_special_tokens=False).ids
        tok.encode_special_tokens = True
        plain = tok.encode(text, add_special_tokens=False).ids
        out["ids"].append(ids)
        if plain != ids:
            out["plain"][i] = plain
        back = tok.decode(plain, skip_special_tokens=False)
        if back != text:
            out["decoded"][i] = back
    return out


def tokenizers():
    rows = pieces()
    bases = {
        "byteLevel": byte_level(),
        "prefixed": sentencepiece_json(rows, True),
        "bare": sentencepiece_json(rows, False),
    }
    variants = [
        {"base": base, "name": name, "parts": parts, **cases({**bases[base], **parts})}
        for base, named in VARIANTS.items()
        for name, parts in named.items()
    ]
    # with neither added tokens nor a literal \u2581, which tokenizer.json sees before SentencePiece's first step would
    plain = [t for t in STRINGS if "<" not in t and "\u2581" not in t]
    own = {
        "tokens": [t for t, _, _ in rows],
        "scores": [s for _, s, _ in rows],
        "types": [k for _, _, k in rows],
        "strings": plain,
        "prefixed": [None if "\n\n" in t else sentencepiece(rows, t, True) for t in plain],
        "bare": [sentencepiece(rows, t, False) for t in plain],
    }
    rules = gguf_rules(bases["byteLevel"], plain)
    made = {"strings": STRINGS, "bases": bases, "variants": variants, "pieces": own, "ggufRules": rules}
    return {"format": "nibble-tokenizer-parts-1", **made}


# ---- templates ------------------------------------------------------------------------------------------------------

TEMPLATES = {
    "roles": "{{ bos_token }}{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] | trim + eos_token "
    "}}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}",
    "system first": "{%- if messages[0]['role'] == 'system' -%}\n    {%- set start = messages[0]['content'] + "
    "'\\n\\n' -%}\n"
    "    {%- set rest = messages[1:] -%}\n{%- else -%}\n    {%- set start = '' -%}\n    {%- set rest = messages "
    "-%}\n{%- endif -%}\n"
    "{%- for m in rest -%}\n    {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) -%}\n        {{ "
    "raise_exception('alternate') }}\n"
    "    {%- endif -%}\n    {{ '[' + m['role'] + ']' + (start if loop.first else '') + m['content'] }}\n{%- "
    "endfor -%}",
    "no tools": "{% if tools is not none %}{% for t in tools %}{{ t | tojson }}{% endfor %}{% endif %}{% if "
    "documents %}d{% endif %}"
    "{% if tools is defined %}defined{% endif %}{% if absent is defined %}x{% else %}-{% endif %}{{ messages | "
    "length }}",
    "namespace": "{%- set ns = namespace(last=messages|length - 1, seen=false) %}{%- for m in messages[::-1] %}\n"
    "{%- set i = (messages|length - 1) - loop.index0 %}{%- if not ns.seen and m.role == 'user' and not "
    "m.content.startswith('<') %}\n"
    "{%- set ns.seen = true %}{%- set ns.last = i %}{%- endif %}{%- endfor %}{{ ns.last }}|{{ 'seen' if ns.seen }}",
    "text methods": "{% for m in messages %}{% set c = m.content %}{{ c.split('o')[-1].lstrip('\\n') }},{{ "
    "c.strip() | upper }},{{ c.strip('H \\n') }},{{ c.rstrip('.') }},"
    "{{ c.replace('l', 'L') }},{{ c[1:4] }},{{ c[::-1] }},{{ m.role | capitalize }},{{ c | tojson }},{{ 'yes' "
    "if 'o' in c }}\n{% endfor %}",
    "macro and lists": "{% macro turn(role, text, end='.') %}[{{ role }}:{{ text }}{{ end }}]{% endmacro %}"
    "{% for m in messages if m.role != 'system' %}{{ turn(m.role, m.content) }}{% endfor %}"
    "{{ ['a', 'b'] + ['c'] | join('-') if false else ['a', 'b'] | join(', ') }}{{ {'k': [1, none, true, 1.5]} | "
    "tojson }}"
    "{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k ~ v }}{% endfor %}{{ range(2, 8, 3) | list | length }}",
    "loop controls": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{% if "
    "loop.index > 3 %}{% break %}{% endif %}"
    "{{ loop.index }}:{{ m.content }};{% endfor %}",
    "white space": "  {% if true %}\n    a\n  {% endif %}\n  {#- gone -#}\n  b {{- ' c ' -}} d\n\n{% if true %} "
    "e{% endif %}\n",
    "attributes": "{%- set users = messages | selectattr('role', 'equalto', 'user') | list %}{{ users | length "
    "}}{{ users[-1]['content'] }}"
    "{{ messages | map(attribute='role') | join(',') }}{{ (messages | rejectattr('role', 'equalto', 'user') | "
    "list | first | default({}))"
    ".get('role', 'nobody') }}{% set last = messages | last %}{{ last.role }}{% if loop is defined %}x{% endif %}",
    "tests": "{%- for m in messages %}{% if m.content is string and m is mapping and m.content is not none %}{{ "
    "m.role }}{% endif %}"
    "{% if m.tool_calls is defined and m.tool_calls %}t{% endif %}{% if m['role'] in ['user', 'system'] and not "
    "(m.content is mapping) %}u"
    "{% elif m['role'] == 'assistant' and loop.last %}last{% endif %}{% if loop.nextitem is defined %}{{ "
    "loop.nextitem.role }}"
    "{% endif %}{% if loop.previtem %}<{{ loop.previtem.role }}{% endif %}{%- endfor %}{% if strftime_now is "
    "defined %}now{% endif %}"
    "{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}{{ date_string }}"
    "{% if not tools is none and tools %}tools{% endif %}{{ 7 // 2 }}{{ 7 % 4 }}{{ 2 if messages[0].role != "
    "'user' }}",
    "a tool as JSON": "{% set tool = {'name': 'f', 'parameters': {'type': 'object', 'list': [1, 2.5, "
    "'x\\u00e9<&']}} %}"
    "{{ tool | tojson(indent=4) }}|{{ tool | tojson }}|{{ tool.parameters.list | tojson }}|{{ tool.keys() | "
    "list | join }}",
    "a block that sets": "{% set text %}[{{ messages[0].content | trim }}]\n{% endset %}{{ text }}{{ text | length }}"
    "{% filter upper %}{{ messages[0].role }}{% endfilter %}{% call(x) each(messages) %}{{ x.role }};{% endcall "
    "%}".replace(
        "{% set text %}",
        "{% macro each(list) %}{% for e in list %}{{ caller(e) }}{% endfor %}{% endmacro %}{% set text %}",
        1,
    ),
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% "
    "endgeneration %}"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}",
}
CHATS = [
    [{"role": "user", "content": "Hello\nworld "}],
    [
        {"role": "system", "content": 'Be "brief" & <kind>.'},
        {"role": "user", "content": " Hi\u00e9 "},
        {"role": "assistant", "content": "Hello \U0001f642"},
        {"role": "user", "content": "2 + 2?"},
    ],
    [{"role": "assistant", "content": "first"}, {"role": "user", "content": "<b>second</b>"}],
    [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "<think>\nhm \n</think>\n\n  So."},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": " <think>\n\n</think>\n\n Because.\n"},
    ],
]


def render(template: str, messages: list, generation: bool, **tokens):
    """What transformers makes of it, or null where it refuses."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **tokens)
    try:
        return tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=generation
        )
    except Exception:  # raise_exception, or what Jinja itself refuses
        return None


def templates():
    made = [
        {
            "name": name,
            "template": source,
            "texts": [render(source, chat, i != 1, bos_token="<s>", eos_token="</s>") for i, chat in enumerate(CHATS)],
        }
        for name, source in TEMPLATES.items()
    ]
    return {"format": "nibble-templates-1", "chats": CHATS, "templates": made}


def make(out: Path):
    for name, value in {"parts": tokenizers(), "templates": templates()}.items():
        path = out / "tokenizer" / f"{name}.json"
        path.write_text(json.dumps(value, separators=(",", ":")) + "\n")
        print(f"tokenizer/{path.name}: {path.stat().st_size} bytes")
