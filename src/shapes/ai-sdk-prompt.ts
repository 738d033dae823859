/** The AI SDK's prompts and settings as chat() takes them, and the SDK's errors for what it does not. */
import type { FunctionTool, GenerateOptions, MessageInput, TextPart, ToolCall } from '../index';
import type { SdkCallOptions, SdkMessage, SdkPart, SdkTool, SdkToolOutput, SdkWarning } from './ai-sdk-types';

/**
 * An error that the SDK takes for its own: its classes know each other by these symbols, so that several copies of
 * @ai-sdk/provider get along (its ai-sdk-error.ts), and none is needed here.
 */
export function sdkError(name: string, message: string, more: object): Error {
  const marks = { [Symbol.for('vercel.ai.error')]: true, [Symbol.for(`vercel.ai.error.${name}`)]: true };
  return Object.assign(new Error(message), { name, ...marks, ...more });
}

/** UnsupportedFunctionalityError. */
function unsupported(functionality: string, message: string): never {
  throw sdkError('AI_UnsupportedFunctionalityError', message, { functionality });
}

const isTextFile = (data: unknown): data is { text: string } =>
  Object(data).type === 'text' && typeof Object(data).text === 'string';

/** The text of a part that has some; a text file counts. */
function textIn(part: SdkPart, role: string): string {
  if (part.type === 'text') return part.text!;
  if (part.type === 'file' && isTextFile(part.data)) return part.data.text;
  return unsupported(
    `${part.type} in a message of ${role}`,
    `A message of ${role} has a part of the type ${part.type}: Nibble reads text only. Leave it out.`,
  );
}

function contentOf(texts: string[]): string | TextPart[] {
  return texts.length === 1 ? texts[0] : texts.map((text) => ({ type: 'text', text }));
}

/** What a tool said, as the model is told it; errors as chat() tells those of its own loop. */
function said({ type, value, reason }: SdkToolOutput): string {
  switch (type) {
    case 'text':
      return String(value);
    case 'json':
      return JSON.stringify(value) ?? 'null';
    case 'error-text':
    case 'error-json':
      return JSON.stringify({ error: value });
    case 'execution-denied':
      return JSON.stringify({ error: reason ?? 'The call was denied.' });
    default:
      return (value as SdkPart[]).map((part) => textIn(part, 'tool')).join('\n');
  }
}

function assistant(parts: readonly SdkPart[]): MessageInput {
  const texts: string[] = [];
  const thoughts: string[] = [];
  const calls: ToolCall[] = [];
  for (const part of parts) {
    if (part.type === 'reasoning') thoughts.push(part.text!);
    else if (part.type === 'tool-call') {
      const { toolCallId: id, toolName: name, input } = part;
      calls.push({ id, type: 'function', function: { name: name!, arguments: input as Record<string, unknown> } });
    } else texts.push(textIn(part, 'assistant'));
  }
  return {
    role: 'assistant',
    content: texts.join(''),
    ...(thoughts.length > 0 && { reasoning_content: thoughts.join('\n') }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

/** @throws the SDK's UnsupportedFunctionalityError for parts that are not text */
export function messagesOf(prompt: readonly SdkMessage[]): MessageInput[] {
  return prompt.flatMap(({ role, content }): MessageInput[] => {
    if (typeof content === 'string') return [{ role, content }];
    if (role === 'assistant') return [assistant(content)];
    if (role !== 'tool') return [{ role, content: contentOf(content.map((part) => textIn(part, role))) }];
    return content.map((part) => {
      if (part.type !== 'tool-result') return { role, content: textIn(part, role) };
      return { role, name: part.toolName, tool_call_id: part.toolCallId, content: said(part.output!) };
    });
  });
}

function toolsOf(given: readonly SdkTool[], warnings: SdkWarning[]): FunctionTool[] {
  return given.flatMap(({ type, name, description, inputSchema, inputExamples, strict }): FunctionTool[] => {
    const warn = (what: string, details: string) =>
      void warnings.push({ type: 'unsupported', feature: `${what} of the tool ${name}`, details });
    if (type !== 'function') {
      warn('the kind', `Tools of the kind ${type} belong to other providers: it is left out.`);
      return [];
    }
    if (inputExamples?.length) warn('inputExamples', 'The model is not told of them.');
    if (strict) warn('strict', "Only a call that toolChoice asks for is held to the tool's schema.");
    const parameters = inputSchema as Record<string, unknown>;
    return [{ type: 'function', function: { name, ...(description && { description }), parameters } }];
  });
}

/** What the templates of Qwen and SmolLM, of Granite and DeepSeek, and of gpt-oss read. */
const effortOf = (reasoning: string) =>
  reasoning === 'none'
    ? { enable_thinking: false, thinking: false }
    : { enable_thinking: true, thinking: true, reasoning_effort: reasoning };

/** Any JSON value. */
const ANY_JSON = {};

/** The settings of a call as options of an answer; what is not heeded goes to `warnings`. */
export function optionsOf(options: SdkCallOptions, warnings: SdkWarning[]): GenerateOptions {
  const { temperature, topP, topK, presencePenalty, frequencyPenalty, seed, abortSignal, reasoning } = options;
  const { responseFormat, toolChoice = { type: 'auto' } } = options;
  const tools = toolsOf(options.tools ?? [], warnings);
  const { templateOptions, ...own } = (options.providerOptions?.nibble ?? {}) as GenerateOptions;
  const thinks = reasoning && reasoning !== 'provider-default' ? effortOf(reasoning) : null;
  const asked = tools.length > 0 && (toolChoice.type === 'required' || toolChoice.type === 'tool');
  const json =
    responseFormat?.type === 'json' ? ((responseFormat.schema ?? ANY_JSON) as Record<string, unknown>) : null;
  if (json && tools.length > 0 && toolChoice.type !== 'none') {
    const details = asked
      ? 'This answer is a call, as toolChoice asks, and not of the schema.'
      : 'This answer is held to the schema, and calls no tool: let a step before it call them.';
    warnings.push({ type: 'unsupported', feature: 'tools with a response format', details });
  }
  if (options.includeRawChunks) warnings.push({ type: 'unsupported', feature: 'includeRawChunks' });
  return {
    ...{ temperature, topP, topK, presencePenalty, frequencyPenalty, seed },
    maxNewTokens: options.maxOutputTokens,
    stop: options.stopSequences,
    ...(json && !asked && { schema: json }),
    ...(tools.length > 0 && {
      tools,
      toolChoice: toolChoice.type === 'tool' ? { name: toolChoice.toolName } : toolChoice.type,
    }),
    ...own,
    ...((thinks || templateOptions) && { templateOptions: { ...thinks, ...templateOptions } }),
    signal: abortSignal,
  };
}
