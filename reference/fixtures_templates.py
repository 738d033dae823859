"""Random chat templates with what jinja2 makes of them as transformers sets it up: tokenizer/jinja.json.

    python3 reference/fixtures_templates.py [--count 1000] [--seed 26] [--out FILE]
    python3 reference/fixtures_templates.py --render FILE.json    # of [[template, variables], ...]: prints the texts

Made with jinja2 3.1.6 and transformers 5.24.0. A null stands for whatever Python raises.
"""

import argparse
import copy
import json
import random
import signal
import warnings
from datetime import datetime
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template

warnings.filterwarnings("ignore")

CHATS = [
    [{"role": "user", "content": "Hello\nworld "}],
    [
        {"role": "system", "content": 'Be "brief" & <kind>.'},
        {"role": "user", "content": " Hi\u00e9 \U0001f642 it's"},
        {"role": "assistant", "content": "<think>\nhm \n</think>\n\n  So, a-b-c.", "n": 3},
        {"role": "user", "content": "2 + 2?\r\n\tx", "tags": ["b", "A", "c"], "score": 1.5},
    ],
    [
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image"}, {"type": "text", "text": "Two"}]},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {"x": 1, "y": [True, None, 2.5]}}]},
        {"role": "tool", "content": '{"a": 1}', "name": "f"},
    ],
]

STRINGS = [
    "", " ", "a", "abc", "Hello World", "it's", 'say "x"', "a,b,,c", "  two  words ", "line\nnext\n", "x\ty\r\nz", "\u00e9t\u00e9 \u00dcber",
    "\U0001f642ab\U0001f642", "12", "-7", "3.50", "1e3", " 42 ", "0x1f", "<b>&\"'", "%s-%d", "{} {}", "{0:>5}|{1!r}", "aXbXc", "role", "content", "stra\u00dfe",
    "one two three four five six", "CamelCase", "\u4f60\u597d", "a=b=c", "prefix-x", "nan", "\u2028q", "_x1", "a/b c?d=e&f",
]
NUMBERS = ["0", "1", "2", "3", "-1", "-3", "7", "10", "100000000000000000000", "0.0", "1.0", "-2.5", "2.5", "0.5", "3.14159", "1e10", "1e16", "1e-5",
           "1.5e300", "123456.789", "2.675", "true", "false", "1_000"]
NAMES = ["messages", "m", "m.role", "m.content", "m['role']", "s", "n", "f", "l", "d", "t", "u", "nothing", "loop.index", "loop.first", "loop.length",
         "messages[0]", "messages[-1].content", "tools", "add_generation_prompt", "bos_token", "l[0]", "d.a", "d['b']", "ns.x"]
METHODS = ["strip()", "strip('a ')", "lstrip()", "rstrip('c')", "upper()", "lower()", "title()", "capitalize()", "swapcase()", "casefold()", "split()", "split(',')",
           "split('b', 1)", "split(none, 1)", "rsplit(none, 1)", "rsplit(' ', 1)", "rsplit('X')", "partition('b')", "rpartition('b')", "splitlines()", "splitlines(true)", "startswith('a')",
           "startswith(('x', 'a'))", "endswith('c')", "endswith('b', 0, 2)", "find('b')", "rfind('b')", "index('a')", "count('a')", "count('')", "replace('a', 'Q')",
           "replace('', '-')", "replace('b', 'B', 1)", "replace('', '.', 2)", "isdigit()", "isalpha()", "isalnum()", "isspace()", "isupper()", "islower()", "istitle()", "isnumeric()",
           "isdecimal()", "isidentifier()", "isascii()", "isprintable()", "zfill(6)", "center(9)", "center(10, '*')", "ljust(7, '.')", "rjust(7)", "removeprefix('a')",
           "removesuffix('c')", "join(['x', 'y'])", "join('123')", "expandtabs()", "expandtabs(3)", "format(1, 'q')", "format(2.5, [1])", "format_map({'a': 1})", "find('b', 1)", "find('', 2)",
           "split('')", "foo()"]
OTHER_METHODS = ["items()", "keys()", "values()", "get('a')", "get('z', 0)", "get('role', 'none')", "copy()", "append(1)", "pop()", "update({})", "index(1)", "count(1)", "sort()",
                 "items() | list", "values() | list"]
FILTERS = ["abs", "attr('upper')", "batch(2) | list", "batch(2, 'x') | list", "capitalize", "center(9)", "count", "d('dflt')", "default('dflt', true)", "dictsort", "dictsort(reverse=true)",
           "dictsort(false, 'value')", "e", "escape", "filesizeformat", "filesizeformat(true)", "first", "float", "float(1.5)", "forceescape", "format(1)", "format('a', 2)", "groupby('role') | list",
           "indent", "indent(2, true)", "indent(3, blank=true)", "indent('> ')", "int", "int(9)", "int(0, 16)", "items | list", "join", "join('-')", "join(', ', attribute='role')", "last",
           "length", "list", "lower", "map('upper') | list", "map(attribute='role') | list", "map('int') | list", "map('length') | list", "map(attribute='z', default='?') | list", "max", "min", "reject | list", "reject('odd') | list", "rejectattr('role', 'eq', 'user') | list",
           "rejectattr('n') | list", "replace('a', 'b')", "replace('l', 'L', 1)", "reverse", "reverse | list", "round", "round(1)", "round(1, 'ceil')", "round(0, 'floor')", "round(-1)", "safe",
           "select | list", "select('string') | list", "select('gt', 1) | list", "select('in', [1, 'a']) | list", "selectattr('role', 'equalto', 'user') | list | length", "selectattr('content') | list",
           "selectattr('role', 'in', ['user', 'tool']) | map(attribute='role') | join(',')", "slice(2) | list", "slice(3, 0) | list", "sort", "sort(reverse=true)", "sort(attribute='role') | map(attribute='role') | list",
           "sort(case_sensitive=true)", "string", "striptags", "sum", "sum(attribute='n')", "sum(start=2)", "title", "tojson", "tojson(indent=2)", "tojson(ensure_ascii=true)",
           "tojson(separators=(',', ':'))", "tojson(sort_keys=true, indent=1)", "trim", "trim('a')", "truncate(5)", "truncate(9, true)", "truncate(7, false, '', 0)", "truncate(11, end='~')", "unique | list", "unique(attribute='role') | list | length", "upper",
           "urlencode", "wordcount", "wordwrap(9)", "wordwrap(5, false)", "xmlattr", "list | length", "first | default('none')", "last | upper", "string | length", "nosuch"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "iterable", "sequence", "callable", "odd", "even", "divisibleby 3", "divisibleby(2)", "eq 1",
         "ne 'a'", "gt 2", "lt(3)", "ge 1", "le 1", "in [1, 'a', 2.5]", "in 'abc'", "sameas none", "sameas(true)", "lower", "upper", "true", "false", "escaped", "equalto('a')", "filter", "test", "not none", "not string"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not in"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def any(self, *of):
        return self.random.choice(of)

    def chance(self, p):
        return self.random.random() < p

    def string(self):
        text = self.any(*STRINGS)
        quote = self.any("'", '"')
        for a, b in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r"), (quote, "\\" + quote)):
            text = text.replace(a, b)
        return quote + text + quote

    def atom(self):
        kind = self.random.random()
        if kind < 0.35:
            return self.any(*NAMES)
        if kind < 0.7:
            return self.string()
        if kind < 0.9:
            return self.any(*NUMBERS)
        return self.any("[]", "{}", "none", "()", "(1,)", "'%s'", "range(3)", "range(5, 0, -2)", "undefined_name")

    def slice(self):
        part = lambda: self.any("", "", "0", "1", "-1", "2", "-3", "5")
        return f"[{part()}:{part()}" + (f":{self.any('', '1', '2', '-1', '-2')}]" if self.chance(0.4) else "]")

    def expression(self, depth=3):
        if depth <= 0 or self.chance(0.15):
            return self.atom()
        inner = lambda: self.expression(depth - 1)
        kind = self.random.randrange(17)
        if kind < 3:
            return f"{self.wrapped(depth)} | {self.any(*FILTERS)}"
        if kind < 5:
            return f"{self.any('s', 'm.content', self.string())}.{self.any(*METHODS)}"
        if kind == 5:
            return f"{self.any('d', 'l', 'm', 'messages[0]', 't')}.{self.any(*OTHER_METHODS)}"
        if kind < 8:
            return f"{self.wrapped(depth)} {self.any(*OPERATORS)} {self.wrapped(depth)}"
        if kind == 8:
            return f"{self.wrapped(depth)} is {self.any(*TESTS)}"
        if kind == 9:
            return f"[{', '.join(inner() for _ in range(self.random.randrange(4)))}]"
        if kind == 10:
            return "{" + ", ".join(f"{self.any('1', 'true', self.string(), self.string())}: {inner()}" for _ in range(self.random.randrange(3))) + "}"
        if kind == 11:
            return f"({inner()}, {inner()})"
        if kind == 12:
            return f"{self.any('s', 'l', 't', 'm.content', self.string())}{self.slice()}"
        if kind == 13:
            return f"{self.wrapped(depth)}[{self.any('0', '-1', '1', '7', self.string())}]"
        if kind == 14:
            return f"{inner()} if {inner()}" + (f" else {inner()}" if self.chance(0.7) else "")
        if kind == 15:
            return self.any(f"not {inner()}", f"-{self.wrapped(depth)}", f"{self.any('2', '2.5', '10', '0')} ** {self.any('0', '2', '3', '-1', '0.5', '10')}", f"1 < {self.any(*NUMBERS)} <= {self.any(*NUMBERS)}")
        return self.formatted()

    def formatted(self):
        spec = self.any("%s", "%5s|", "%-5s|", "%05d", "%+d", "%x", "%#o", "%.2f", "%8.3f", "%e", "%g", "%.3g", "%r", "%c", "%%", "%i %s", "%(a)s")
        if self.chance(0.5):
            return f"'{spec}' % {self.any('n', 'f', 's', 'd', '(1, 2)', '(f, s)', 'l', *NUMBERS)}"
        field = self.any("", "0", "a", ":>6", ":<6", ":^7", ":05d", ":.2f", ":e", ":g", ":,", ":_", ":x", ":#b", ":+", ":%", "!r", ":*^9", ":.3", "0.real", "0[0]", ":s", ":{}", ":n", ":c", ":.1%", ":010.3f", ":-^8")
        return "'<{" + field + "}>'.format(" + self.any("n", "f", "s", "l", "7, 3", "a=1", *NUMBERS) + ")"

    def wrapped(self, depth):
        text = self.expression(depth - 1)
        return f"({text})" if self.chance(0.8) else text

    def tag(self, body):
        left = self.any("", "", "", "-", "-", "+")
        right = self.any("", "", "", "-", "-", "+")
        return "{%" + left + f" {body} " + right + "%}"

    def data(self):
        return self.any("", "", " ", "\n", "\n\n", "x", " y ", "  ", "text\n", "\n  ", "\r\n", "<|im_start|>", "{", "%}", "# ", "}")

    def print(self):
        left, right = self.any("", "", "-"), self.any("", "", "-")
        return "{{" + left + f" {self.expression(self.random.randrange(1, 4))} " + right + "}}"

    def block(self, depth):
        return "".join(self.data() + self.statement(depth - 1) for _ in range(self.random.randrange(1, 3))) + self.data()

    def statement(self, depth):
        kind = self.random.randrange(22) if depth > 0 else self.random.randrange(7)
        e = lambda: self.expression(self.random.randrange(1, 3))
        tag, block = self.tag, self.block
        if kind < 5:
            return self.print()
        if kind == 5:
            return tag(f"set {self.any('a', 's', 'n', 'l', 'ns.x', 'a, b')} = {e()}")
        if kind == 6:
            return "{#" + self.any("", "-", "+") + " c " + self.any("", "-", "+") + "#}"
        if kind < 10:
            middle = tag(f"elif {e()}") + block(depth) if self.chance(0.3) else ""
            middle += tag("else") + block(depth) if self.chance(0.4) else ""
            return tag(f"if {e()}") + block(depth) + middle + tag("endif")
        if kind < 14:
            target, over = self.any(("m", "messages"), ("m", "messages"), ("k, v", "d.items()"), ("x", "l"), ("x", "range(3)"), ("c", "s"), ("m", "messages[1:]"), ("x", e()), ("k, v", "d | dictsort"), ("x", "l | map('string')"))
            test = self.any("", "", "", f" if {e()}", " if m.role != 'system'", " if not loop")
            inside = self.any("", "", tag("break"), tag(f"if {e()}") + tag(self.any("break", "continue")) + tag("endif"), "{{ loop.index0 }}{{ loop.revindex }}{{ loop.last }}",
                              "{{ loop.cycle('a', 'b') }}", "{{ loop.changed(x) }}", "{{ loop.previtem }}|{{ loop.nextitem }}", "{{ loop.depth }}{{ loop.length }}")
            other = tag("else") + block(depth) if self.chance(0.3) else ""
            return tag(f"for {target} in {over}{test}") + block(depth) + inside + other + tag("endfor")
        if kind == 14:
            return tag(f"set a{self.any('', ' | upper', ' | trim | length', ' | replace(1, 2)')}") + block(depth) + tag("endset") + "{{ a }}"
        if kind == 15:
            return tag(f"with {self.any('', 'a = 1', 's = ' + e(), 'a = 1, b = a')}") + block(depth) + "{{ a }}" + tag("endwith")
        if kind == 16:
            return tag(f"filter {self.any('upper', 'indent(2)', 'trim', 'replace(' + self.string() + ', 1) | title')}") + block(depth) + tag("endfilter")
        if kind == 17:
            return self.any("{% raw %}", "{%- raw -%}", " {% raw %}") + self.any("{{ x }}", "\n {% if %} ", "a\n") + self.any("{% endraw %}", "{%- endraw -%}", "\n  {% endraw +%}") + "\n"
        if kind == 18:
            name = self.any("f1", "f2")
            given = self.any("", "1", "s", "x=2", "1, 2", "y=3, x=1", "1, 2, 3", "z=1", "*l", "**d")
            more = self.any("", "{{ varargs }}", "{{ kwargs }}", "{{ caller() if caller else '-' }}", "{{ caller(x) }}")
            body = tag(f"macro {name}({self.any('', 'x', 'x, y=2', 'x=1', 'x, y=x', 'x=s')})") + block(depth) + "{{ x }}" + more + tag("endmacro")
            call = self.any("{{ " + f"{name}({given})" + " }}", tag(f"call{self.any('', '(q)')} {name}({given})") + block(depth) + "{{ q }}" + tag("endcall"))
            return body + call
        if kind == 19:
            return tag("generation") + block(depth) + tag("endgeneration")
        if kind == 20:
            return tag("for x in [[1, [2]], [3]] recursive") + "{{ x if x is number else loop(x) }}{{ loop.depth }}," + tag("endfor")
        return self.any("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}", "{% set j = joiner('|') %}{{ j() }}{{ j() }}", "{{ raise_exception('no') }}", "{{ dict(a=1, b=2) }}",
                        "{{ namespace(a=1) }}", "{{ namespace().b }}", "{{ 'a' 'b' }}", "{{ 1, }}", "{% include 'x' %}", "{{ dict([('a', 1)]).a }}", "{% print 1, 's' %}", "{% block q %}b{% endblock %}", "{{ [1, 2] | nosuch }}")

    def template(self):
        return "".join(self.data() + self.statement(2) for _ in range(self.random.randrange(1, 4))) + self.data()


# what every random template begins with
START = (
    "{% set s = 'aXb,c Abc' %}{% set n = 5 %}{% set f = 2.5 %}{% set l = [3, 1, 'b', 'a', 2.0] %}{% set d = {'b': 1, 'a': 'x', 'A': none} %}{% set t = (1, 'a') %}{% set ns = namespace(x=0) %}"
)




def variables(chat):
    # a copy: jinja2's indent adds to a list in place
    return {"messages": copy.deepcopy(CHATS[chat]), "tools": None, "documents": None, "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": chat != 1}


class TooLong(Exception):
    pass


def rendered(template, names):
    """The text, or None where Python refuses; raises TooLong for what takes more than two seconds."""

    def stop(*_):
        raise TooLong

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(2)
    try:
        return _compile_jinja_template(template).render(**names)
    except TooLong:
        raise
    except Exception:
        return None
    finally:
        signal.alarm(0)


# what two runs do not share: addresses, and the order of a set
UNSTABLE = (" at 0x", "<built-in", "<function", "<class", "<bound method", "<generator", "<jinja2", "<transformers", "<Macro", "<LoopContext", "<list_rev", "<method")


def make(count, seed):
    maker = Maker(seed)
    cases = []
    refused = 0
    while len(cases) < count:
        template, chat = maker.template(), maker.random.randrange(len(CHATS))
        try:
            text = rendered(START + template, variables(chat))
        except TooLong:
            continue
        if text is not None and (any(mark.lower() in text.lower() for mark in UNSTABLE) or len(text) > 2000):
            continue
        # a third of errors is enough
        if text is None and refused * 3 > len(cases):
            continue
        refused += text is None
        cases.append([template, chat, text])
    return cases


def fixed():
    """Templates written by hand, each with the second chat."""
    templates = json.loads((Path(__file__).parent / "jinja_templates.json").read_text())
    return [[template, 1, rendered(template, variables(1))] for template in templates]


MOMENTS = [(2026, 11, 29, 14, 5, 9), (2024, 2, 29, 0, 0, 0), (2021, 1, 3, 12, 30, 59), (2020, 12, 31, 23, 59, 1), (2023, 1, 1, 11, 0, 7), (1999, 8, 4, 1, 2, 3)]
DATE_CODES = "aAbBcCdDeFgGhHIjklmMnpPrRSTtuUVwWxXyYzZ%fQ"
DATE_FORMATS = [f"%{code}" for code in DATE_CODES] + [f"%{flag}{code}" for flag in "-_0^#" for code in "dmHIjelkyUaApB"] + ["%d %B %Y", "100%", "%-d/%-m"]


def dates():
    """strftime in the C locale: [numbers, [text of each format]]"""
    return [[list(numbers), [datetime(*numbers).strftime(each) for each in DATE_FORMATS]] for numbers in MOMENTS]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=26)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fixtures/tokenizer/jinja.json")
    parser.add_argument("--render", type=Path)
    args = parser.parse_args()
    if args.render:
        pairs = json.loads(args.render.read_text())
        return print(json.dumps([rendered(template, names) for template, names in pairs]))
    made = {
        "format": "nibble-jinja-1",
        "jinja2": "3.1.6",
        "chats": CHATS,
        "start": START,
        "random": make(args.count, args.seed),
        "fixed": fixed(),
        "dateFormats": DATE_FORMATS,
        "dates": dates(),
    }
    # a case a line, for those who look at changes
    lines = json.dumps(made, separators=(",", ":")).replace('],["', '],\n["')
    args.out.write_text(lines + "\n")


if __name__ == "__main__":
    main()
