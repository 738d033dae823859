"""Pieces of hurtful texts by Rust's `tokenizers`, for the test of src/text/regex.

    python fixtures_regex.py    # writes fixtures/tokenizer/regex.json

Three kinds of patterns: those of published tokenizers, each altered in one place, 200 in all from a seed; random ones
over two letters, with nested repeats, atomic groups and looks of any width; and a list of Oniguruma's syntax.
"""

import json
import random
import re
from pathlib import Path

from tokenizers import Regex, pre_tokenizers

SEED = 27
CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
SPACES = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
CL100K = f"{CONTRACTION}|[^\\r\\n\\p{{L}}\\p{{N}}]?\\p{{L}}+|\\p{{N}}{{1,3}}| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n]*{SPACES}"


def cased(upper, lower, contraction, digits, after):
    first = "[^\\r\\n\\p{L}\\p{N}]?"
    words = f"{first}{upper}*{lower}+{contraction}|{first}{upper}+{lower}*{contraction}"
    return f"{words}|\\p{{N}}{digits}| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n{after}]*{SPACES}"


WITHOUT_HAN = [s.replace("\\p{M}]", "\\p{M}&&[^\\p{Han}]]") for s in (UPPER, LOWER)]
DEEPSEEK = (
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
    "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+"
)
CASED_LETTERS = "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u0370-\u0373\u0386\u0388-\u038a\u0400-\u0481"
CASED_LETTERS += "\uff21-\uff3a\U00010400-\U0001044f"
PUBLISHED = {
    "GPT-2": "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    "cl100k, Llama 3": CL100K,
    "Qwen 2 and 3": CL100K.replace("{1,3}", ""),
    "Qwen 3.5": CL100K.replace("{1,3}", "")
    .replace("?\\p{L}+", "?[\\p{L}\\p{M}]+")
    .replace("\\s\\p{L}", "\\s\\p{L}\\p{M}"),
    "MiniCPM 5": CL100K.replace("{1,3}", "+"),
    "zeta": CL100K.replace("{1,3}", "{1}").replace("\\p{N}]+[\\r\\n]*", "\\p{N}\\r\\n]+"),
    "joiners": CL100K.replace("?\\p{L}+", "?(?:\\p{L}|\\p{M}|\\u200C|\\x{200D})+"),
    "o200k": cased(UPPER, LOWER, CONTRACTION + "?", "{1,3}", "/"),
    "Tekken": cased(UPPER, LOWER, "", "", "/"),
    "Kimi K2": "[\\p{Han}]+|" + cased(*WITHOUT_HAN, CONTRACTION + "?", "{1,3}", ""),
    "LLaDA": "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}|"
    " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    "cl100k as tiktoken has it": "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+|"
    " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s",
    "DeepSeek V3, CJK": "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "DeepSeek V3": DEEPSEEK + "[\r\n]*" + SPACES.replace("\\r\\n", "\r\n"),
    "Spark": DEEPSEEK + "|[\r\n]|\\s+(?!\\S)|\\s+",
    "DeepSeek Coder, letters": f"\\s?[{CASED_LETTERS}]+",
    "DeepSeek Coder, signs": "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
    "DeepSeek Coder, spaces": "\\s+$",
    "DeepSeek Coder, words": "\\s?\\p{L}+",
    "BLOOM": " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+",
    "Laguna": "(?:\\r?\\n)+(?!\\r?\\n)",
    "Command A": "\\d{1,3}(?=(?:\\d{3})*\\b)",
    "SuperBPE": "\\p{N}{1,3}(?=(\\d{3})+(?!\\d))| ?[^\\s\\p{L}\\p{N}]{2,}[\\r\\n/]*| +(?!\\S)|\\d{1,3}(?=\\D|$)",
    "Falcon": "[0-9][0-9][0-9]",
    "words": "\\w+|[^\\w\\s]+",
    "lines": "[^\\n]+|[\\n]+",
}

TEXTS = [
    "Don't HE'LL we'Ve it'\u017f x 's'S ''d I'M\u2019s",
    "a  b   c\n\n \r\n\t x\r\ry \n  z  ",
    "1234567 12,345.678 1a22b333 \u0661\u0662\u0663\u0664 \u00bd\u00b2\u2075 \uff11\uff12 \U0001d7cf\U0001d7d0",
    "HelloWorld XMLHttpRequest \u01c5u \u02b0\u00aa \u1e9e\u0130\u0131 \ufb01",
    "cafe\u0301 \u0301x a\u0301\u0300\u0302lgo Z\u0351 \u0915\u094d\u0937\u093f \u1100\u1161\u11a8",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u79c1\u306f\u30ab\u30bf abc\u4e00\U00020bb7x \ud55c\uad6d",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd!\U0001f1eb\U0001f1f7 1\ufe0f\u20e3\u2764\ufe0f",
    "\u0645\u0631\u062d\u0628\u0627\u060c \u05e9\u05b8\u05c1 \u200f\u202e "
    "\u0440\u0443\u0441 \u03bb\u03cc\u03b3\u03bf\u03c2",
    "f(x)->y[0]+=z/*c*/ //; {\"k\":\"v\"} $_a1 ~/b?q=1&r#\u2026!!\n\n;;\r\n",
    "\ufeffb\u0085\u2028c\u00a0\u3000d\u000b\u001ce\u200b\u00adf  \t",
    "    \n    return\n\n\n",
    "\u216f\u2460 \u20ac5\u00b0 \u2211\u00ac \u00b7_\u203f a-b\u2013c \U00010400\U00010428",
]


def pieces(pattern, text):
    return [piece for piece, _ in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)]


def lengths(pattern, texts):
    """The pieces' lengths in characters, a digit of base 36 each, or a number in brackets."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return ["".join(digits[n] if n < 36 else f"({n})" for n in map(len, pieces(pattern, text))) for text in texts]


# ---- published patterns, altered in one place -----------------------------------------------------------------------

COUNTS = ["", "?", "*", "+", "{2}", "{1,2}", "{2,}", "{,3}", "{1,20}", "??", "*?", "+?", "{1,4}?", "?+", "*+", "++"]
CLASSES = [
    *["\\p{L}", "\\p{Lu}", "\\p{Ll}", "\\p{M}", "\\p{N}", "\\p{Nd}", "\\p{P}", "\\p{S}", "\\p{Han}", "\\p{Greek}"],
    *["\\P{L}", "\\p{^N}", "\\s", "\\d", "\\w", "\\h", "\\r", "\\n", "\\t", "a-f", "'", "\\p{Alphabetic}"],
]
WRAPS = ["(?:%s)", "(%s)+", "(?>%s)", "(?:%s){1,3}", "(?=\\S)(?:%s)", "(?<!x)(?:%s)", "(?i:%s)", "\\b(?:%s)"]
PART = re.compile(r"\\[pP]\{[^}]*\}|\\[a-zA-Z]")
COUNT = re.compile(r"(?<=[\]})a-zL])(?:\{\d+(?:,\d*)?\}|[*+?])[+?]?(?![:=!<i])")


def alter(pattern, rng):
    kind = rng.choice(["count", "class", "order", "wrap"])
    if kind == "order":
        # what stands between bars outside brackets
        depth, cut, parts = 0, 0, []
        for i, c in enumerate(pattern):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(c, 0) if pattern[i - 1 : i] != "\\" else 0
            if c == "|" and not depth:
                parts.append(pattern[cut:i])
                cut = i + 1
        parts.append(pattern[cut:])
        if len(parts) < 2:
            return None
        a, b = rng.sample(range(len(parts)), 2)
        parts[a], parts[b] = parts[b], parts[a]
        return "|".join(parts)
    if kind == "wrap":
        return rng.choice(WRAPS) % pattern
    places = list((COUNT if kind == "count" else PART).finditer(pattern))
    if not places:
        return None
    place = rng.choice(places)
    return pattern[: place.start()] + rng.choice(COUNTS if kind == "count" else CLASSES) + pattern[place.end() :]


def altered(count):
    rng = random.Random(SEED)
    out = {name: [name, pattern] for name, pattern in PUBLISHED.items()}
    published = list(PUBLISHED.items())
    while len(out) < count + len(published):
        name, pattern = published[len(out) % len(published)]
        changed = alter(pattern, rng)
        if changed is None or changed in out:
            changed = alter(rng.choice(published)[1], rng)
        try:
            if changed and changed not in (pattern for _, pattern in out.values()) and pieces(changed, "a"):
                out[changed] = [name, changed]
        except Exception:  # noqa: BLE001  what Oniguruma does not take is no case
            pass
    return [[name, pattern, *lengths(pattern, TEXTS)] for name, pattern in out.values()]


# ---- random patterns ------------------------------------------------------------------------------------------------

LETTERS = ["aabab", "bbaaab", "abcabcab", "aaaaaaaa", "cabbac", "", "b"]


def random_pattern(rng, depth, plain=False):
    kind = rng.randrange(12 if depth else 2)

    def inner():
        return random_pattern(rng, depth - 1, plain)

    if kind < 2:
        return rng.choice(["a", "b", "c", ".", "[ab]", "[^a]"])
    if kind < 5:
        return inner() + inner()
    if kind < 7:
        return f"(?:{inner()}|{inner()}{rng.choice(['', '', '|'])})"
    if kind < 10:
        counts = ["?", "*", "+", "??", "*?", "+?", "{2}", "{1,2}", "{,2}", "{2,}?"]
        counts += [] if plain else ["?+", "*+", "++"]
        return f"(?:{inner()}){rng.choice(counts)}"
    if plain:
        return inner()
    if kind == 10:
        return f"(?>{inner()})"
    behind = rng.random() < 0.5
    sign = rng.choice(["<=", "<!"] if behind else ["=", "!"])
    return f"(?{sign}{random_pattern(rng, depth - 1, behind)})"


def randoms(count):
    rng = random.Random(SEED)
    out = {}
    while len(out) < count:
        pattern = random_pattern(rng, 4) + random_pattern(rng, 2)
        try:
            if len(pattern) < 60:
                out[pattern] = [pattern, *lengths(pattern, LETTERS)]
        except Exception:  # noqa: BLE001  what Oniguruma does not take in a look-behind
            pass
    return list(out.values())


# ---- syntax ---------------------------------------------------------------------------------------------------------

SYNTAX = [
    *[("a{3,1}", "aaaaa"), ("a{2}?", "aaaaa"), ("a{1,2}+b", "aaaab"), ("a{,2}", "aaaaa"), ("a{,}", "a{,}")],
    *[("a{", "a{"), ("a**", "aaa"), ("a+*", "aaa"), ("a{2}+", "aaaaa"), ("a{1,2}??", "aaa"), ("a{1}{2}", "aaa")],
    *[("(?:a?){3}", "aaaa"), ("a{2}??b?", "aab"), ("a?", "bab"), ("a*?", "ba"), ("(?:a??)*b", "aab"), ("", "ab")],
    *[("a||b", "ab"), ("(?:)", "ab"), ("^a", "aa\naa\n"), ("^", "a\nb\n"), ("$", "a\nb\n"), ("a$", "a\na")],
    *[("a\\Z", "a\na\n"), ("a\\z", "aa"), ("\\Aa", "aa"), (".", "a\nb\r\u2028"), ("(?m:.)", "a\nb")],
    *[("a(?i)b|c", "aBC ab c C"), ("(?i)a", "aA"), ("(?i:k)", "kK\u212a"), ("(?i:[^k])", "kK\u212ax")],
    *[("(?i:\\p{Lu})", "aA1"), ("(?i-i:a)", "aA"), ("(?x: a b # c\n)", "abab"), ("(?#x)a", "ab")],
    *[("(?<n>a)b", "aab"), ("(?'n'a)", "ab"), ("(?>a|ab)c", "abc ac"), ("a++b", "aab"), ("a?+a", "aa")],
    *[("\\h+", "0fg"), ("\\H", "fg"), ("\\R", "a\r\n\n\u2028b"), ("\\N", "a\nb"), ("\\O", "a\nb")],
    *[("\\d", "\u00b2\u09671"), ("\\w", "\u00b2a_\u0967\u00bc\u200d"), ("[\\w]", "\u00b2a_\u0967\u00bc\u200d")],
    *[("\\W", "\u00b2a"), ("[\\W]", "\u00b2a"), ("\\b", "\u00b2a b"), ("\\B", "abc d")],
    *[("\\s", "\u0085\u200b\ufeff\u00a0 \u001c"), ("\\D", "1a"), ("[^\\n]", "a\n"), ("(?<=a|bc)d", "adbcdd")],
    *[("(?<=a+)d", "aadd"), ("(?<!a|bc)d", "adbcdd"), ("(?<!a*c)d", "aacdd"), ("(?<=\\b)a", "aa a")],
    *[("[]a]", "a]b"), ("[^]a]", "a]b"), ("[a-c-e]+", "abc-de"), ("[a&&b]", "ab"), ("[a-z&&[^b]]+", "abc")],
    *[("[a[bc]]+", "abcd"), ("[[:alpha:]]+", "ab1"), ("[[:^alpha:]]+", "ab1"), ("[:alpha:]+", "alpha:1")],
    *[("[[:alpha]]", "a:]"), ("[[:punct:]]", "+,$~"), ("[\\b]", "a\bb"), ("[\\-a]", "-a"), ("[!--]+", "!#-a")],
    *[("[\\d-a]+", "1-a"), ("[a-]", "a-"), ("[-a]", "a-"), ("[[a]-z]+", "a-z"), ("\\x{41}", "AB")],
    *[("\\u0041", "AB"), ("[\\x41-\\x43]+", "ABCD"), ("\\cA", "\u0001"), ("\\C-a", "\u0001"), ("\\0", "\u0000")],
    *[("\\012", "\n"), ("\\v", "\u000b\n"), ("\\e", "\u001b"), ("\\a", "\u0007"), ("\\q", "qa"), ("\\_", "_")],
    *[("\\-", "-"), ("]", "]"), ("}", "}"), ("\\p{^L}", "a1"), ("\\P{^L}", "a1"), ("\\p{Greek}", "a\u03b1")],
    *[("\\p{greek}", "a\u03b1"), ("\\p{Letter}", "a1"), ("\\p{alnum}", "a1 "), ("\\p{lowercase letter}", "aA")],
    *[("\\p{LC}+", "abA\u00df1"), ("\\p{ASCII}+", "ab\u00e9"), ("\\p{Any}", "ab"), ("\\p{word}", "ab ")],
    *[("[\\p{L}&&\\p{ASCII}]+", "ab\u00e9"), ("[^\\P{L}]+", "ab1"), ("[\\R]", "Ra\n"), ("\\p{punct}", "a,+")],
    *[("\\p{Script_Extensions}", "a"), ("a{3,1}a", "baaa"), ("a{3,1}a", "aaaa"), ("\\xa0", "\u00a0a")],
    *[("\\x7f", "\u007fa"), ("(?i:\u00e9)", "\u00c9\u00e9"), ("[\u00e9-\u00ff]", "\u00e9a"), ("(?<=^)a", "a\na")],
    *[("\\b\\w+\\b(?!\\.)", "ab cd. e")],
]


def syntax():
    out = []
    for pattern, text in SYNTAX:
        try:
            out.append([pattern, text, *lengths(pattern, [text])])
        except Exception:  # noqa: BLE001  refused by both
            out.append([pattern, text, None])
    return out


if __name__ == "__main__":
    made = {"format": "nibble-regex-1", "texts": TEXTS, "altered": altered(200), "letters": LETTERS}
    made.update(random=randoms(300), syntax=syntax())
    text = json.dumps(made, separators=(",", ":"), ensure_ascii=False) + "\n"
    (Path(__file__).parent / "fixtures/tokenizer/regex.json").write_bytes(text.encode())
