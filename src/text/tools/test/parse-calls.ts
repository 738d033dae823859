/** For tests: what a parser of calls makes of a text that comes in pieces. */
import type { FunctionTool } from '../../../protocol';
import type { CallForm } from '../call-forms';
import { createCallParser } from '../call-parser';

export function parseCalls(form: CallForm, tools: readonly FunctionTool[], texts: readonly string[]) {
  const parameters = (tool: FunctionTool) => Object(tool.function.parameters?.properties) as Record<string, unknown>;
  const schemas = Object.fromEntries(tools.map((tool) => [tool.function.name, parameters(tool)]));
  const parser = createCallParser({ form, tools: schemas, idOf: (index) => `id${index}` });
  const pieces = [...texts.flatMap((text) => parser.push(text)), ...parser.end()];
  const of = (type: string) => pieces.flatMap((piece) => (piece.type === type ? [piece.text] : [])).join('');
  const json = parser.calls.map((_, index) =>
    pieces.flatMap(({ call, text }) => (call?.index === index ? [text] : [])).join(''),
  );
  const raw = pieces.map(({ raw, text }) => raw ?? text).join('');
  const calls = parser.calls.map((call) => ({ ...call }));
  return { calls, text: of('text'), json, lost: raw !== texts.join(''), pieces };
}
