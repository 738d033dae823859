/** Tools of a request, in the engine's words: /chat/completions wraps each in `function`, /responses does not. */
import type { FunctionTool, GenerateOptions, ToolChoice } from '../../index';
import { refused, unsupported } from './errors';
import type { Fields } from './fields';

/** What of a request is about tools. */
export interface AskedTools {
  options: Pick<GenerateOptions, 'tools' | 'toolChoice'>;
  /** the answer has one call at most */
  oneCall: boolean;
}

const NO_OTHERS = 'tools are functions here';

/** Where a tool, or a choice of one, has its fields. */
const inside = (fields: Fields): Fields => fields.inner('function') ?? fields;

function toolOf(fields: Fields): { tool: FunctionTool; strict: Fields | null } {
  const type = fields.text('type');
  if (type !== 'function') unsupported(fields.at('type'), NO_OTHERS);
  const own = inside(fields);
  const name = own.text('name') ?? refused(own.at('name'), 'a text');
  const [description, parameters] = [own.text('description'), own.json('parameters')];
  const definition = { name, ...(description && { description }), ...(parameters && { parameters }) };
  return { tool: { type: 'function', function: definition }, strict: own.flag('strict') ? own : null };
}

/** @returns the choice, and names of the tools that are left, where it says some */
function choiceOf(fields: Fields): { choice?: ToolChoice; names?: string[] } {
  const given = fields.any('tool_choice');
  if (given === undefined) return {};
  if (given === 'auto' || given === 'none' || given === 'required') return { choice: given };
  const choice = typeof given === 'object' ? fields.inner('tool_choice')! : null;
  const type = choice?.text('type');
  if (choice && type === 'function') {
    const own = inside(choice);
    return { choice: { name: own.text('name') ?? refused(own.at('name'), 'a text') } };
  }
  if (choice && type === 'allowed_tools') {
    const own = choice.inner('allowed_tools') ?? choice;
    const names = (own.each('tools') ?? []).map((tool) => {
      tool.any('type');
      return inside(tool).text('name') ?? '';
    });
    return { choice: own.text('mode') === 'required' ? 'required' : 'auto', names };
  }
  return refused(fields.at('tool_choice'), "'auto', 'none', 'required', or the name of a function");
}

/** @throws ApiError 400 for tools that are no functions, and for what is none of the choices */
export function toolsOf(fields: Fields): AskedTools {
  const given = (fields.each('tools') ?? []).map(toolOf);
  const { choice, names } = choiceOf(fields);
  const oneCall = fields.flag('parallel_tool_calls') === false;
  const left = names ? given.filter(({ tool }) => names.includes(tool.function.name)) : given;
  // only a call that is asked for is held to its schema
  if ((choice ?? 'auto') === 'auto') for (const { strict } of left) strict?.unheeded('strict');
  const tools = left.length > 0 && { tools: left.map(({ tool }) => tool) };
  return { options: { ...tools, ...(choice && { toolChoice: choice }) }, oneCall };
}
