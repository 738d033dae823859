"""Calls of tools as published chat templates write them, and digests of prompts with tools: tokenizer/tools.json.

    pip download --no-deps --no-binary llama-cpp-python llama-cpp-python==0.3.36   # its sources have models' templates
    tar xzf llama_cpp_python-0.3.36.tar.gz --wildcards --strip-components=5 '*/models/templates/*.jinja'
    python3 reference/fixtures_tools.py FOLDER [--out FILE]

Made with transformers 5.24.0. The templates themselves stay out of the repository: with NIBBLE_TEMPLATES=FOLDER,
src/text/tools/published.test.ts renders them here, too, and compares the digests.
"""

import argparse
import hashlib
import json
from datetime import datetime
from pathlib import Path

from transformers.utils.chat_parsing import parse_response
from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

SKY = {
    "type": "function",
    "function": {
        "name": "sky_report",
        "description": "The weather of a town, for some days",
        "parameters": {
            "type": "object",
            "properties": {
                "town": {"type": "string", "description": "Its name"},
                "days": {"type": "integer", "description": "How many"},
                "exact": {"type": "boolean", "description": "With decimals"},
                "kinds": {"type": "array", "items": {"type": "string"}, "description": "Of what"},
                "where": {"type": "object", "description": "Its place", "properties": {"lat": {"type": "number"}}},
            },
            "required": ["town"],
        },
    },
}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds two numbers",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number", "description": "One"}, "b": {"type": "number", "description": "The other"}},
            "required": ["a", "b"],
        },
    },
}
# one template writes a list in its own way, and recurses without end on its schema
PLAIN = {**SKY, "function": {**SKY["function"], "parameters": {**SKY["function"]["parameters"], "properties": {
    name: each for name, each in SKY["function"]["parameters"]["properties"].items() if name not in ("kinds", "where")}}}}
SKY_CALL = {"town": "Z\u00fcrich \"Nord\", <b>", "days": 2, "exact": True, "kinds": ["rain", "snow"], "where": {"lat": 47.5}}
PLAIN_CALL = {name: value for name, value in SKY_CALL.items() if name not in ("kinds", "where")}
ADD_CALL = {"a": 1, "b": -2.5}
USER = {"role": "user", "content": "Hi?"}
# of the tokenizer that the test takes, tiny-llama-128
BOS, EOS = "<|im_start|>", "<|im_end|>"


def calls(kind, count, sky):
    made = [("a1B2c3D40", "sky_report", sky), ("a1B2c3D41", "add", ADD_CALL)][:count]
    text = lambda value: json.dumps(value, ensure_ascii=False) if kind == "text" else value
    return [{"id": id, "type": "function", "function": {"name": name, "arguments": text(value)}} for id, name, value in made]


def facts(path):
    """What a template makes of tools, or None where it shows no calls."""
    source = path.read_text()
    template = _compile_jinja_template(source)
    digest = lambda text: hashlib.sha256(text.encode()).hexdigest()

    def render(messages, tools, open_turn):
        return template.render(
            messages=messages, tools=tools, documents=None, bos_token=BOS, eos_token=EOS, add_generation_prompt=open_turn,
            strftime_now=lambda form: datetime(2026, 11, 30, 12).strftime(form),
        )

    try:
        talk = [USER, {"role": "assistant", "content": "Well, "}]
        more = {"bos_token": BOS, "eos_token": EOS, "strftime_now": lambda form: datetime(2026, 11, 30, 12).strftime(form)}
        continued = digest(render_jinja_template([talk], chat_template=source, continue_final_message=True, **more)[0][0])
    except Exception:
        continued = None
    for tool, sky in ((SKY, SKY_CALL), (PLAIN, PLAIN_CALL)):
        for kind in ("object", "text"):
            for count in (2, 1):
                try:
                    asked = render([USER], [tool, ADD], False)
                    made = {"role": "assistant", "content": "", "tool_calls": calls(kind, count, sky)}
                    whole = render([USER, made], [tool, ADD], False)
                except Exception:
                    continue
                if "sky_report" not in asked:
                    continue
                opened = render([USER], [tool, ADD], True)
                at = len(opened) if whole.startswith(opened) else next((i for i, (a, b) in enumerate(zip(asked, whole)) if a != b), min(len(asked), len(whole)))
                turn = whole[at:]
                if "sky_report" not in turn or '\\"town' in turn or "town" not in turn:
                    continue
                results = [{"role": "tool", "name": call["function"]["name"], "tool_call_id": call["id"], "content": text}
                           for call, text in zip(made["tool_calls"], ('{"t": 15}', "-1.5"))]
                try:
                    talk = digest(render([USER, made, *results], [tool, ADD], True))
                except Exception:
                    talk = None
                return {
                    "name": path.stem, "sha256": hashlib.sha256(source.encode()).hexdigest(), "kind": kind, "turn": turn,
                    "tool": "plain" if tool is PLAIN else "sky", "count": count,
                    "continued": continued, "asked": digest(render([USER], [tool, ADD], True)), "talk": talk,
                }
    return None


CALLED = {"type": "function", "function": "{content}"}
NAMED = {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}}
THOUGHT = {"open": "<think>", "close": "</think>", "content": "text"}
TEXT = {"close_pattern": r"\s*(?:<\|im_end\|>|<\|end\|>)", "content": "text"}


def response(tool_calls, reasoning=THOUGHT):
    fields = {"reasoning_content": reasoning, "tool_calls": tool_calls, "content": TEXT}
    return {"defaults": {"role": "assistant"}, "start_anchor": "<|im_start|>assistant\n", "fields": fields}


# response templates of our own, in transformers' format, with answers of such a model
RESPONSES = {
    "an object in marks": (
        response({"open_pattern": r"\s*<call>", "close": "</call>", "repeats": True, "content": "json", "transform": CALLED}),
        ['<think>\nWell.\n</think>\n\nI look.\n<call>\n{"name": "sky_report", "arguments": {"town": "Bern", "days": 2}}\n</call>\n<call>{"name": "add", "arguments": {"a": 1, "b": 2}}</call>', "It rains."],
    ),
    "an object with names of its own": (
        response({"open": ["[CALL]", "[CALLS]"], "close": "[END]", "repeats": True, "content": "json",
                  "transform": {"type": "function", "function": {"name": "{content.tool}", "arguments": "{content.input}"}}}),
        ['[CALL]{"tool": "add", "input": {"a": 1, "b": 2}}[END]'],
    ),
    "tags": (
        response({"open_pattern": r"\s*<call>\s*<fn=(?P<name>[^>\n]+)>", "close_pattern": r"</fn>\s*</call>", "repeats": True, "content": "xml-inline",
                  "content_args": {"tag_pattern": r"<arg=(?P<key>[^>\n]+)>\s*(?P<value>.*?)\s*</arg>"}, "transform": NAMED}),
        ["So.\n\n<call>\n<fn=sky_report>\n<arg=town>\nBern\n</arg>\n<arg=days>\n2\n</arg>\n</fn>\n</call>\n<call>\n<fn=add>\n<arg=a>\n1\n</arg>\n<arg=b>\n2.5\n</arg>\n</fn>\n</call>"],
    ),
    "bare keys and quotes of its own": (
        response({"open_pattern": r"<\|call>use:(?P<name>\w+)", "close": "<call|>", "repeats": True, "content": "json",
                  "content_args": {"unquoted_keys": True, "string_delims": [["<q>", "<q>"]]}, "transform": NAMED},
                 {"open": "<|channel>thought\n", "close": "<channel|>", "content": "text"}),
        ["<|channel>thought\nHm.<channel|><|call>use:sky_report{town:<q>Bern<q>,days:2}<call|><|call>use:add{a:1,b:2}<call|>"],
    ),
    "a list as Python has it": (
        response({"open": "<|calls|>", "close": "<|/calls|>", "content": "python-call-list", "transform_each": True,
                  "transform": {"type": "function", "function": {"name": "{name}", "arguments": "{arguments}"}}}),
        ["<|calls|>[sky_report(town='Bern', days=2), add(a=1, b=2)]<|/calls|>"],
    ),
}


def responses():
    made = []
    for name, (template, answers) in RESPONSES.items():
        parsed = [parse_response(answer, template, prefix="", tools=[SKY, ADD]) for answer in answers]
        made.append({"name": name, "template": template, "answers": answers, "parsed": parsed})
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fixtures/tokenizer/tools.json")
    args = parser.parse_args()
    found = [(path, facts(path)) for path in sorted(args.folder.glob("*.jinja"))]
    for path, fact in found:
        if fact is None:
            print("shows no calls:", path.name)
    made = {
        "format": "nibble-tools-1", "transformers": "5.24.0", "tools": {"sky": SKY, "plain": PLAIN, "add": ADD},
        "calls": {"sky": SKY_CALL, "plain": PLAIN_CALL, "add": ADD_CALL}, "user": USER, "results": ['{"t": 15}', "-1.5"],
        "templates": [fact for _, fact in found if fact], "responses": responses(),
    }
    args.out.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
