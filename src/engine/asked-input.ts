/** What is asked of a model, in the words of the protocol. */
import type { GenerateRequest, MessageInput } from '../protocol';
import { idsOf, messagesOf } from './arguments';

type Input = GenerateRequest['input'];

/**
 * What was said when it was asked, also where it is changed meanwhile; what is wrong with it is the answer's failure.
 */
export function said<T>(input: () => T): () => T | Promise<T> {
  try {
    const copy = input();
    return () => copy;
  } catch (error) {
    return () => Promise.reject(error);
  }
}

/** A text to be continued, or token ids. @throws invalid-option for what is neither */
export const promptOf = (prompt: string | readonly number[]): Input =>
  typeof prompt === 'string' ? { prompt } : { ids: idsOf('prompt', prompt, 'a text or a list of token ids') };

const isMessages = (input: readonly unknown[]): input is readonly MessageInput[] => typeof input[0] === 'object';

/** Messages, a text to be continued, or token ids. @throws invalid-option for what is none of them */
export const inputOf = (input: string | readonly number[] | readonly MessageInput[]): Input =>
  Array.isArray(input) && isMessages(input)
    ? { messages: messagesOf(input) }
    : promptOf(input as string | readonly number[]);
