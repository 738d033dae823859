/** From what a person calls a model, at the terminal or in a program, to where it is. The disk is asked first. */
import { existsSync, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HubOptions } from '../engine/hub-options';
import { NibbleError } from '../errors';
import { baseOf, parseModelName } from '../options/model-name';
import type { SourceDescription } from '../sources/source';

/**
 * @param model a folder in Hugging Face layout or a .gguf file, by its path from the folder that the program runs in or
 * by its file: address; an http(s) address; a Hub id. The environment's HF_ENDPOINT and HF_TOKEN stand in for `hub` and
 * `token`; that token goes to no other hub
 * @throws invalid-option when it is none of these, and for hub options without a Hub id
 */
export function locate(model: string, { revision, token, hub }: HubOptions = {}): SourceDescription {
  const refuse = (text: string) => new NibbleError('invalid-option', text, { option: 'model', value: model });
  const path = /^file:/i.test(model) ? pathOf(model) : model;
  const isDisk = existsSync(path) || path !== model || isPath(model);
  const named = isDisk ? null : parseModelName(model.replace(/^https?:/i, (scheme) => scheme.toLowerCase()));
  if (named?.kind === 'hub') {
    return {
      ...named,
      revision,
      token: token ?? (hub ? undefined : process.env.HF_TOKEN || undefined),
      hub: hub ?? (process.env.HF_ENDPOINT || undefined),
    };
  }
  if (revision !== undefined || token !== undefined || hub !== undefined) {
    const text = `revision, token and hub are for models of the Hub, named as owner/name, and ${model} is none.`;
    throw new NibbleError('invalid-option', text, { option: 'model', value: model });
  }
  if (existsSync(path)) {
    if (!path.endsWith('.gguf') && !statSync(path).isDirectory()) {
      throw refuse(`${model} is neither a folder nor a .gguf file.`);
    }
    return { kind: 'files', name: path, files: [], path };
  }
  if (named) return { kind: 'http', base: baseOf(named.url) };
  throw refuse(
    path !== model || isPath(model)
      ? `There is no folder or file ${path}.`
      : `There is no folder or file ${model}, and it is no Hub id (owner/name or owner/name/file.gguf) and no address.`,
  );
}

/** What is meant as a path even where nothing is there. */
const isPath = (text: string): boolean => /^\.{1,2}([\\/]|$)/.test(text) || isAbsolute(text);

function pathOf(address: string): string {
  try {
    return fileURLToPath(address);
  } catch (cause) {
    throw new NibbleError('invalid-option', `${address} names no file of this machine.`, { value: address }, { cause });
  }
}
