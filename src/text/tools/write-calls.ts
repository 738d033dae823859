/** Calls as a form writes them, for templates that do not write them themselves. */
import { compile } from '../jinja/index';
import type { CallForm } from './call-forms';

/** A call whose arguments are an object. */
export interface WrittenCall {
  name: string;
  arguments: Readonly<Record<string, unknown>>;
  id?: string;
}

const toJson = compile('{{ value | tojson }}');

/** JSON as templates write it: with Python's spaces. */
export const spacedJson = (value: unknown): string => toJson.render({ value });

function payloadOf({ payload }: CallForm, { name, arguments: given, id }: WrittenCall): string {
  const pairs = Object.entries(given);
  switch (payload.kind) {
    case 'json':
      if (payload.named) return spacedJson({ [name]: given });
      return spacedJson({
        [payload.name]: name,
        [payload.arguments]: given,
        ...(payload.more && { [payload.more[0]]: id }),
      });
    case 'named':
      if (payload.opens === '{') return payload.before(name) + spacedJson(given);
      return `${payload.before(name)}(${pairs.map(([key, value]) => `${key}=${spacedJson(value)}`).join(', ')})`;
    case 'tags': {
      const [open, nameEnd, close] = payload.call;
      const [keyOpen, keyEnd, valueOpen, valueClose] = payload.argument;
      const said = (value: unknown) => (typeof value === 'string' ? value : spacedJson(value));
      const all = pairs.map(([key, value]) => `${keyOpen}${key}${keyEnd}${valueOpen}${said(value)}${valueClose}\n`);
      return `${open}${name}${nameEnd}\n${all.join('')}${close}`;
    }
  }
}

/** The text of these calls. */
export function writeCalls(form: CallForm, calls: readonly WrittenCall[]): string {
  const { open, close, around: [before, after] = ['', ''], several = 'own' } = form;
  const mark = form.payload.kind === 'tags' && open[0] === form.payload.call[0] ? '' : open[0];
  const payloads = calls.map((call) => payloadOf(form, call));
  if (several === 'list') return mark + before + payloads.join(', ') + after + close;
  const each = payloads.map((payload) => before + payload + after);
  if (several === 'within') return mark + each.join('\n') + close;
  return each.map((one) => mark + one + close).join('\n');
}
