/** A LanguageModel on answers written beforehand. */
import { createLanguageModel } from '../prompt-api';
import { type Script, scriptedEngine } from './scripted-chat';

/**
 * A token is a character of the messages' JSON.
 * @param fits whether all that is asked for fits the memory budget
 * @param maxContext tokens
 */
export function scriptedModel(script: Script | Script[], fits = true, maxContext = 10_000) {
  const { engine, asked, ended } = scriptedEngine(...[script].flat());
  const talk = () => ({
    chat: engine.chat,
    countTokens: async (messages: unknown) => JSON.stringify(messages).length,
    plan: async () => ({ fits }),
    clone: talk,
    dispose: async () => {},
  });
  Object.assign(engine, {
    conversation: talk,
    info: async () => ({ name: 'scripted', options: { maxContext, kvCapacity: 'auto' } }),
  });
  return { engine, asked, ended, api: createLanguageModel(engine) };
}
