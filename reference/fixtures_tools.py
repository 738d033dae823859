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

from transformers.utils.chat_template_utils import _compile_jinja_template

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
                    "asked": digest(render([USER], [tool, ADD], True)), "talk": talk,
                }
    return None


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
        "templates": [fact for _, fact in found if fact],
    }
    args.out.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
