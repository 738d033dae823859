/** A request to /v1/messages in the engine's words. */
import type { GenerateOptions, MessageInput, TextPart, ToolCall } from '../../index';
import { ApiError, refused } from '../openai/errors';
import type { Fields } from '../openai/fields';

/** What is asked. */
export interface Asked {
  messages: MessageInput[];
  /** what the prompt is made with beside the messages */
  prompt: Pick<GenerateOptions, 'tools' | 'templateOptions' | 'continueFinalMessage'>;
  /** how the answer is made; without its length */
  options: GenerateOptions;
  /** most tokens of the answer; absent: as the engine has it */
  most?: number;
  stream: boolean;
}

/** @throws ApiError 400 */
export function askedOf(fields: Fields): Asked {
  const system = textsOf(fields, 'system');
  const messages: MessageInput[] = system.length > 0 ? [{ role: 'system', content: system }] : [];
  /** names of tools by the ids of their calls */
  const called = new Map<string, string>();
  const given = fields.each('messages') ?? refused('messages', 'a list of messages');
  if (given.length === 0) refused('messages', 'a list of at least one message');
  for (const message of given) for (const turn of turnsOf(message, called)) add(messages, turn);
  const last = messages[messages.length - 1];
  if (last?.tool_calls) refused('messages', 'ended by the tool_result of each tool_use');
  const { templateOptions, maxThinkingTokens } = thinkingOf(fields);
  // who asks, and how it is paid and kept: nothing of it changes an answer here
  for (const name of ['metadata', 'service_tier', 'cache_control']) fields.any(name);
  return {
    // one text stands alone: not every template takes lists
    messages: messages.map((message) => ({ ...message, content: simple(message.content) })),
    prompt: {
      tools: fields.each('tools')?.map(toolOf),
      ...(templateOptions && { templateOptions }),
      // what the assistant is said to have begun, it goes on with
      ...(last?.role === 'assistant' && { continueFinalMessage: true }),
    },
    options: {
      temperature: fields.number('temperature'),
      topP: fields.number('top_p'),
      topK: fields.number('top_k'),
      stop: stopsOf(fields),
      toolChoice: choiceOf(fields.inner('tool_choice')),
      schema: schemaOf(fields),
      maxThinkingTokens,
    },
    most: fields.whole('max_tokens', 1),
    stream: fields.flag('stream') ?? false,
  };
}

function schemaOf(fields: Fields): GenerateOptions['schema'] {
  // and by the name that it had before
  const format = fields.inner('output_config')?.inner('format') ?? fields.inner('output_format');
  if (!format) return undefined;
  if (format.text('type') !== 'json_schema') refused(format.at('type'), 'json_schema');
  return format.json('schema') ?? refused(format.at('schema'), 'a JSON Schema');
}

function stopsOf(fields: Fields): string[] | undefined {
  const list = fields.list('stop_sequences');
  const isTexts = list?.every((text) => typeof text === 'string' && text !== '');
  return list === undefined || isTexts ? (list as string[]) : refused('stop_sequences', 'texts, none of them empty');
}

/** How much is to be thought, as templates that think know it. */
function thinkingOf(fields: Fields): Pick<GenerateOptions, 'templateOptions' | 'maxThinkingTokens'> {
  const thinking = fields.inner('thinking');
  const type = thinking?.text('type');
  switch (type) {
    case 'enabled':
      return { templateOptions: { enable_thinking: true }, maxThinkingTokens: thinking!.whole('budget_tokens', 0) };
    case 'disabled':
      return { templateOptions: { enable_thinking: false }, maxThinkingTokens: 0 };
    // the model thinks as it likes
    case 'adaptive':
    case undefined:
      return {};
    default:
      return refused(thinking!.at('type'), 'enabled, disabled or adaptive');
  }
}

function toolOf(tool: Fields) {
  const type = tool.text('type') ?? 'custom';
  if (type !== 'custom') {
    const message = `${tool.at('type')} is ${type}: this server has no tools of its own. Give name and input_schema.`;
    throw new ApiError(400, message, tool.at('type'));
  }
  tool.any('cache_control');
  const name = tool.text('name') ?? refused(tool.at('name'), 'a text');
  return { name, description: tool.text('description'), parameters: tool.json('input_schema') };
}

function choiceOf(choice: Fields | undefined): GenerateOptions['toolChoice'] {
  if (!choice) return undefined;
  if (choice.flag('disable_parallel_tool_use')) choice.unheeded('disable_parallel_tool_use');
  const type = choice.text('type');
  if (type === 'auto' || type === 'none') return type;
  if (type === 'any') return 'required';
  if (type === 'tool') return { name: choice.text('name') ?? refused(choice.at('name'), 'the name of a tool') };
  return refused(choice.at('type'), 'auto, any, tool or none');
}

/** Blocks of a text: a text alone is one. */
function blocksOf(fields: Fields, name: string): Fields[] | string {
  const value = fields.any(name);
  return typeof value === 'string' ? value : (fields.each(name) ?? '');
}

function textIn(block: Fields): TextPart {
  // what is said of it for a cache, or for documents that there are not
  for (const name of ['type', 'cache_control', 'citations']) block.any(name);
  return { type: 'text', text: block.text('text') ?? refused(block.at('text'), 'a text') };
}

function unread(block: Fields, read: string): never {
  const type = block.text('type');
  const message = `${block.at('type')} is ${type ? `"${type}"` : 'absent'}: what is read here is ${read}.`;
  throw new ApiError(400, message, block.at('type'));
}

/** Where there is nothing but text. */
function textsOf(fields: Fields, name: string): TextPart[] {
  const blocks = blocksOf(fields, name);
  if (typeof blocks === 'string') return blocks ? [{ type: 'text', text: blocks }] : [];
  return blocks.map((block) => (block.text('type') === 'text' ? textIn(block) : unread(block, 'text')));
}

/** What one message says, in turns: results of tools are turns of their own. */
function turnsOf(message: Fields, called: Map<string, string>): MessageInput[] {
  const role = message.text('role');
  if (role === 'system') return [{ role, content: textsOf(message, 'content') }];
  if (role !== 'user' && role !== 'assistant') refused(message.at('role'), 'user or assistant');
  if (message.any('content') === undefined) refused(message.at('content'), 'a text or a list of blocks');
  const blocks = blocksOf(message, 'content');
  if (typeof blocks === 'string') return [{ role, content: [{ type: 'text', text: blocks }] }];
  return role === 'user' ? blocks.map((block) => heard(block, called)) : [said(blocks, called)];
}

/** A block of a user's message. */
function heard(block: Fields, called: ReadonlyMap<string, string>): MessageInput {
  switch (block.text('type')) {
    case 'text':
      return { role: 'user', content: [textIn(block)] };
    case 'tool_result': {
      block.any('cache_control');
      const id = block.text('tool_use_id') ?? '';
      const name = called.get(id) ?? refused(block.at('tool_use_id'), 'the id of a tool_use that came before');
      const text = textsOf(block, 'content')
        .map(({ text }) => text)
        .join('\n');
      // as chat() tells a model of a function that threw
      const content = block.flag('is_error') ? JSON.stringify({ error: text }) : text;
      return { role: 'tool', name, tool_call_id: id, content };
    }
    default:
      return unread(block, 'text and tool_result');
  }
}

/** The blocks of an assistant's message. */
function said(blocks: readonly Fields[], called: Map<string, string>): MessageInput {
  const content: TextPart[] = [];
  const thoughts: string[] = [];
  const calls: ToolCall[] = [];
  for (const block of blocks) {
    switch (block.text('type')) {
      case 'text':
        content.push(textIn(block));
        break;
      case 'thinking':
        // nobody but who signed it can read it
        block.any('signature');
        thoughts.push(block.text('thinking') ?? '');
        break;
      case 'redacted_thinking':
        block.any('data');
        break;
      case 'tool_use': {
        for (const name of ['cache_control', 'caller']) block.any(name);
        const id = block.text('id') ?? refused(block.at('id'), 'a text');
        const name = block.text('name') ?? refused(block.at('name'), 'the name of a tool');
        called.set(id, name);
        calls.push({ id, type: 'function', function: { name, arguments: block.json('input') ?? {} } });
        break;
      }
      default:
        unread(block, 'text, thinking and tool_use');
    }
  }
  return {
    role: 'assistant',
    content,
    ...(thoughts.length > 0 && { reasoning_content: thoughts.join('\n') }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

/** Turns of one speaker that follow each other are one, as Anthropic has it: many templates want them to alternate. */
function add(messages: MessageInput[], turn: MessageInput): void {
  const last = messages[messages.length - 1];
  if (last?.role !== turn.role || turn.role === 'tool') return void messages.push(turn);
  const calls = [...(last.tool_calls ?? []), ...(turn.tool_calls ?? [])];
  messages[messages.length - 1] = {
    ...last,
    ...turn,
    content: [...(last.content as TextPart[]), ...(turn.content as TextPart[])],
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function simple(content: MessageInput['content']): MessageInput['content'] {
  if (!Array.isArray(content) || content.length > 1) return content;
  return content[0]?.text ?? '';
}
