/**
 * Answers with tools: where they have functions, calls are made in the page, what came of them is told to the model,
 * and it is asked again, until it answers or the bound is reached.
 */
import { TOOL_OPTIONS } from '../options/load';
import { checkOptions, refuse } from '../options/spec';
import type { GenerateRequest, GenerateResult, MessageInput, ParsedCall } from '../protocol';
import type { Answer, CallOptions, GenerateOptions, Push } from './answer';
import { assistantMessage } from './conversation';
import type { Asked } from './request';
import { checkChoice, checkTools, type Run } from './tools';

export { checkTools } from './tools';

const MAX_STEPS = 8;

/** Begins one answer. */
export type AskOnce = (asked: Pick<Asked, 'input' | 'tools'>, options: GenerateOptions) => Answer;

/** What a tool said, as the model is told it. */
function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  return JSON.stringify(value) ?? 'null';
}

const failed = (error: unknown) =>
  JSON.stringify({ error: error instanceof Error ? error.message || error.name : String(error) });

async function resultOf(call: ParsedCall, run: Run | undefined, signal: AbortSignal): Promise<string> {
  if (call.error !== undefined) return JSON.stringify({ error: call.error });
  try {
    return asText(await run!(call.arguments!, { signal }));
  } catch (error) {
    return failed(error);
  }
}

/** Settles when a signal fires. */
const stopped = (signal: AbortSignal) =>
  new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });

/**
 * @param push takes the pieces of all answers
 * @param signal stops it: the answer under way, and the wait for tools
 * @returns the last answer; `messages`: what came before it
 * @throws what the answers throw, and invalid-option for tools that are none
 */
export async function answerWithTools(
  ask: AskOnce,
  input: Asked['input'],
  wanted: GenerateOptions,
  push: Push,
  signal: AbortSignal,
): Promise<GenerateResult> {
  const { tools: given = [], toolChoice, toolForm, maxToolSteps, ...rest } = wanted;
  const checked = checkOptions<CallOptions>(TOOL_OPTIONS, { tools: given, toolChoice, toolForm, maxToolSteps });
  const { tools, functions } = checkTools(checked.tools ?? []);
  let choice = checkChoice(toolChoice ?? undefined, tools);
  const steps = checked.maxToolSteps ?? MAX_STEPS;
  const first = await input();
  if (!('messages' in first) && tools.length > 0) refuse('tools', given, 'left out for a plain prompt: use chat()');
  const messages: MessageInput[] = [];
  const notes = new Set<string>();
  const asked = (): GenerateRequest['input'] =>
    'messages' in first ? { messages: [...first.messages, ...messages] } : first;
  for (let step = 0; ; step++) {
    const offered = choice === null ? undefined : { tools, choice, toolForm: checked.toolForm };
    const { made, ...again } = rest;
    const answer = ask({ input: asked, tools: offered }, { ...(step === 0 ? rest : again), signal });
    for await (const { type, text, call, logprobs } of answer.parts) push(type, text, { call, logprobs });
    const result = await answer.result;
    if (result.note) notes.add(result.note);
    const note = [...notes].join(' ') || null;
    const { toolCalls, finish } = result;
    const ours = toolCalls.every(({ name, error }) => error !== undefined || functions.has(name));
    const goesOn = finish === 'tool-calls' && functions.size > 0 && ours && step < steps;
    if (!goesOn) return messages.length > 0 ? { ...result, note, messages } : result;
    const results = toolCalls.map((call) => resultOf(call, functions.get(call.name), signal));
    const said = await Promise.race([Promise.all(results), stopped(signal)]);
    if (said === null || signal.aborted) return { ...result, note, messages, finish: 'aborted' };
    messages.push(assistantMessage(result)!);
    toolCalls.forEach(({ id, name }, place) => {
      messages.push({ role: 'tool', name, tool_call_id: id, content: said[place] });
    });
    // only the first step is bound to call, and the last one to answer, where that can be asked
    choice = step + 1 === steps ? 'answer' : 'auto';
  }
}
