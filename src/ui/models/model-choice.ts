/** From what a person types, picks or drops to what load() is given. */
import type { HubOptions, ModelInput } from '../../engine';
import { parseHubPage, parseModelName } from '../../options/model-name';
import type { EngineOptions, StoredModel } from '../../protocol';
import type { ServerChoice } from './servers';

/** A model that may be loaded, and how the person knows it. The token is in no other place, and never stored. */
export interface ModelChoice extends HubOptions {
  model: ModelInput;
  name: string;
  /** what the person chose for this model, beside the page's own options */
  options?: EngineOptions;
  /** answers in the place of the model, which is not loaded */
  server?: ServerChoice;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The last part of a path or Hub id, without its ending slash. */
export const modelName = (model: string): string => decoded(model.replace(/\/+$/, '').split('/').at(-1) ?? model);

/**
 * A Hub id, the address of a model's page there, a URL or a path.
 * @param access fields as the person left them: empty ones count for nothing
 * @param hub address of what stands for the Hub, where the page has one
 */
export function chooseByName(
  text: string,
  access: { revision?: string; token?: string } = {},
  hub?: string,
): ModelChoice {
  const page = parseHubPage(text.trim());
  const model = page?.name ?? text.trim();
  const revision = access.revision?.trim() || (page?.revision && decoded(page.revision));
  const token = access.token?.trim();
  return {
    model,
    name: modelName(model),
    ...(revision && { revision }),
    ...(token && { token }),
    ...(hub && parseModelName(model)?.kind === 'hub' && { hub }),
  };
}

/** A model that is kept here: its key is its name and the revision that was asked for. */
export function chooseStored({ key, name }: Pick<StoredModel, 'key' | 'name'>, hub?: string): ModelChoice {
  return chooseByName(name, { revision: key.slice(name.length + 1) }, hub);
}
