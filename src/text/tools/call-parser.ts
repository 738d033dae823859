/**
 * Calls in an answer, told apart from its text while both come: a call begins with its name, its arguments grow, and it
 * ends with them parsed. Nothing is lost: what stands in a form's marks and is no call stays text, a call that cannot
 * be read says why, and the pieces' `raw` together are what went in.
 */
import type { ParsedCall } from '../../protocol';
import type { Piece } from '../reasoning';
import { type CallForm, GENERIC_FORM, type Payload } from './call-forms';
import { Incoming, type Reading } from './incoming';
import { NoValue, readKey, readMembers, readString, readValue } from './literal';
import { coerced, isText, settled, type ToolSchemas } from './schema-types';

/** What is in a call's place is none. */
class NoCall extends Error {}

/** Characters before a call's arguments: names have 64 at most. */
const MOST_HEADER = 300;

type Json = Payload & { kind: 'json' };

export interface CallParser {
  /** what is certain now */
  push(text: string): Piece[];
  /** what was held back, at the end of an answer */
  end(): Piece[];
  /** those that have begun, in order; the last may not have ended */
  readonly calls: readonly ParsedCall[];
}

export interface Called {
  form: CallForm;
  /** the parameters of each tool, by its name */
  tools: ToolSchemas;
  /** what a call is called by that brings no id of its own */
  idOf(index: number, name: string): string;
}

export function createCallParser({ form, tools, idOf }: Called): CallParser {
  const { payload, close, beside = [] } = form;
  const from = new Incoming();
  /** up to here all is in pieces */
  let given = 0;
  let out: Piece[] = [];
  const calls: ParsedCall[] = [];
  /** the call under way */
  let call: ParsedCall | null = null;
  /** its arguments as JSON, and what of that is in no piece yet */
  let json = '';
  let grown = '';
  const bare = form.open.includes('');
  const marks = form.open.filter(Boolean);
  /** what a call begins with, if that is always the same; '' : its name */
  const begins = payload.kind === 'json' ? '{' : payload.kind === 'tags' ? payload.call[0] : '';
  const ignored = [...marks.filter((mark) => mark !== begins), ...beside];
  const isTool = (name: string) => Object.hasOwn(tools, name);

  /** Makes a piece of all up to `from.at`. @param said what it says, if that is not what was written */
  const give = (type: Piece['type'], said?: string, more?: Pick<Piece, 'call'>) => {
    const raw = from.text.slice(given, from.at);
    given = from.at;
    if (call) call.text += raw;
    const text = said ?? raw;
    if (raw || text || more) out.push({ type, text, ...(text !== raw && { raw }), ...more });
  };
  const growth = () => ({ index: calls.length - 1, id: call!.id, name: call!.name });
  const flush = () => {
    if (call && grown) give('tool-call', grown, { call: growth() });
    grown = '';
  };
  const told = (part: string) => {
    json += part;
    grown += part;
  };
  const begin = (name: string, id?: string) => {
    call = { id: id || idOf(calls.length, name), name, arguments: null, text: '' };
    json = '';
    calls.push(call);
    give('tool-call', '', { call: growth() });
  };
  /** @param error why it cannot be read: a sentence's end */
  const end = (error?: string) => {
    flush();
    const ended = call!;
    const { name } = ended;
    let value: unknown = null;
    if (error === undefined) {
      try {
        value = JSON.parse(json || '{}') ?? {};
      } catch {
        error = 'are no JSON';
      }
      if (error === undefined && (typeof value !== 'object' || Array.isArray(value))) error = 'are no object';
    }
    give('tool-call', '', { call: { ...growth(), whole: ended } });
    if (error !== undefined) ended.error = `The arguments of ${name} ${error}.`;
    else ended.arguments = settled(value as Record<string, unknown>, isTool(name) ? tools[name] : {});
    if (!isTool(name)) ended.error = `There is no tool ${name}. There are: ${Object.keys(tools).join(', ')}.`;
    ended.text = ended.text.trim();
    call = null;
  };
  /** What a reader tells, as one text. */
  function* collected(reader: (told: (text: string) => void) => Reading<unknown>): Reading<string> {
    let all = '';
    yield* reader((text) => {
      all += text;
    });
    return all;
  }

  /** The text up to the first of these marks, and which that is; null: none came. */
  function* upTo(marks: readonly string[]): Reading<{ text: string; found: string | null }> {
    let text = '';
    const found = yield* from.until(
      marks,
      (part) => {
        text += part;
      },
      MOST_HEADER,
    );
    return { text, found };
  }

  /** Arguments: an object, or, as OpenAI has them, its JSON in a text. */
  function* readArguments(): Reading {
    yield* from.blank();
    if ((yield* from.peek()) !== '"') return yield* readValue(from, told);
    told(JSON.parse(yield* collected((told) => readString(from, told))));
  }

  /**
   * An object that is a call, or that holds calls.
   * @param within another one, whose key said that it is a call
   * @throws NoCall, NoValue
   */
  function* readEnvelope(within = false): Reading {
    const { name: nameKey, arguments: argumentsKey, named } = payload as Json;
    if (!(yield* from.take(['{']))) throw new NoCall();
    let early = '';
    let held = false;
    for (;;) {
      yield* from.blank(',');
      if (yield* from.take(['}'])) break;
      const key: string = JSON.parse(yield* readKey(from));
      yield* from.blank();
      if (named || ((key === nameKey || key === 'name') && !call)) {
        if (call || (!named && !/["']/.test(yield* from.peek()))) throw new NoCall();
        const name = named ? key : JSON.parse(yield* collected((told) => readString(from, told)));
        if (!name || (bare && !within && !isTool(name))) throw new NoCall();
        begin(name);
        if (early) told(early);
        if (named) yield* readArguments();
      } else if ([argumentsKey, 'arguments', 'parameters'].includes(key)) {
        if (call) yield* readArguments();
        else early = yield* collected((told) => readValue(from, told));
        if (early.startsWith('"')) early = JSON.parse(early);
      } else if (key === 'function' && (yield* from.peek()) === '{') {
        yield* readEnvelope(within);
        held = true;
      } else if (form === GENERIC_FORM && !call && (yield* readWrapped(key))) held = true;
      else if (bare && !within && !call && key !== 'id' && key !== 'type') throw new NoCall();
      else yield* readValue(from, () => {});
    }
    if (call) end();
    else if (!held) throw new NoCall();
  }

  /** What a key of the generic form stands for. @returns false: the form does not have it */
  function* readWrapped(key: string): Reading<boolean> {
    if (key === 'tool_call') yield* readEnvelope(true);
    else if (key === 'tool_calls') {
      if (!(yield* from.take(['[']))) throw new NoCall();
      for (;;) {
        yield* from.blank(',');
        if (yield* from.take([']'])) break;
        yield* readEnvelope(true);
      }
    } else if (key === 'response') yield* readResponse();
    else return false;
    return true;
  }

  /** The answer's text as a JSON string; another value is told as it is. */
  function* readResponse(): Reading {
    const isString = (yield* from.peek()) === '"';
    give('mark');
    if (!isString) return yield* readValue(from, (part) => give('text', part));
    let open = '';
    yield* readString(from, (part) => {
      if (part === '"') return give('mark');
      // half of a character that is written as two escapes waits for the other
      open += part;
      const text: string = JSON.parse(`"${open}"`);
      if (/[\ud800-\udbff]$/.test(text)) return;
      open = '';
      give('text', text);
    });
  }

  /** A name, and the arguments behind it. @throws NoCall, NoValue */
  function* readNamed({ header, opens, dialect = {} }: Payload & { kind: 'named' }): Reading {
    const { text, found } = yield* upTo([opens]);
    const groups = found === null ? undefined : header.exec(text.trim())?.groups;
    const name = groups?.name ?? groups?.second;
    if (!name) throw new NoCall();
    begin(name, groups?.id);
    if (opens === '{') yield* readValue(from, told, dialect);
    else {
      from.at += opens.length;
      yield* readMembers(from, told, dialect, '=', ')');
    }
    end();
  }

  /** Tags around a name and arguments. @throws NoCall, NoValue */
  function* readTagged({ call: [open, nameEnd, callEnd], argument }: Payload & { kind: 'tags' }): Reading {
    if (open && !(yield* from.take([open]))) throw new NoCall();
    const ends = open ? [nameEnd] : [nameEnd, argument[0], close];
    const { text, found } = yield* upTo(ends);
    const name = text.trim();
    if (found === null || !/^[\w.-]+$/.test(name)) throw new NoCall();
    yield* from.take([nameEnd]);
    begin(name);
    told('{');
    for (let some = false; ; some = true) {
      yield* from.blank();
      if ((yield* from.take([callEnd])) || (!callEnd && (yield* from.comes([close])))) break;
      if (!(yield* from.take([argument[0]]))) {
        throw new NoValue((yield* from.peek()) ? 'have text between them' : 'are cut off');
      }
      if (some) told(',');
      yield* readArgument(argument);
    }
    told('}');
    end();
  }

  /** A name and a value between tags, the first of which was taken. @throws NoValue */
  function* readArgument([, nameEnd, opens, closes]: readonly [string, string, string, string]): Reading {
    const behind = function* (mark: string): Reading<string> {
      if (!mark) return '';
      const { text, found } = yield* upTo([mark]);
      if (found === null) throw new NoValue('are cut off');
      from.at += mark.length;
      return text;
    };
    const name = (yield* behind(nameEnd)).trim();
    const attributes = yield* behind(opens);
    const schema = isTool(call!.name) ? tools[call!.name][name] : undefined;
    told(`${JSON.stringify(name)}:`);
    // a line end beside the tags is the form's, and all else the value's
    const framed = yield* from.take(['\n']);
    const ends = (yield* from.take(['<![CDATA['])) ? `]]>${closes}` : closes;
    const stops = framed ? [`\n${ends}`, ends] : [ends];
    const value = function* (told: (text: string) => void): Reading {
      const found = yield* from.until(stops, told);
      if (found === null) throw new NoValue('are cut off');
      from.at += found.length;
    };
    if (isText(schema) ? !attributes.includes('"false"') : attributes.includes('"true"')) {
      told('"');
      yield* value((text) => told(JSON.stringify(text).slice(1, -1)));
      told('"');
    } else told(coerced(yield* collected(value), schema, attributes.includes('"false"')));
  }

  /** Calls behind an opening mark, up to the closing one. @throws NoCall, NoValue */
  function* readSection(): Reading {
    const brackets = payload.kind === 'json' ? ',;[]' : ',;';
    for (let some = false; ; some = true) {
      let again = false;
      let ended = false;
      // a mark may begin with a bracket
      for (let more = true; more && !ended; ) {
        const mark = yield* from.take([close, ...ignored]);
        if (mark) {
          ended = mark === close;
          again ||= marks.includes(mark);
        } else {
          const next = yield* from.peek();
          more = next !== '' && (brackets.includes(next) || !next.trim());
          if (more) from.at++;
        }
      }
      if (ended) break;
      const ends = begins ? !(yield* from.comes([begins])) : !close && !again;
      if (some && (ends || !(yield* from.peek()))) break;
      if (payload.kind === 'json') yield* readEnvelope();
      else if (payload.kind === 'named') yield* readNamed(payload);
      else yield* readTagged(payload);
    }
    give('mark');
  }

  /** Reads calls, if that is what there is. @param opened characters that have to come again as text, if not */
  function* attempt(opened: number): Reading {
    const before = calls.length;
    try {
      yield* readSection();
    } catch (error) {
      if (!(error instanceof NoCall || error instanceof NoValue)) throw error;
      const broken = calls[calls.length - 1];
      if (call) {
        end(error.message || 'are no JSON');
        // what is left of it is no text
        if (close) {
          const found = yield* from.until([close, ...marks], () => {});
          if (found === close) from.at += close.length;
          broken.text = (broken.text + from.text.slice(given, from.at)).trim();
        }
        return give('mark');
      }
      // only that the mark is none is certain: what stands behind it may begin with one
      from.at = given + (calls.length === before ? opened : 0);
      give('text');
    }
  }

  function* readAnswer(): Reading {
    if (bare) {
      yield* from.blank();
      if (yield* from.comes(['{', '[', ...beside])) yield* attempt(0);
      from.at = given;
    }
    for (;;) {
      const mark = yield* from.until(marks, () => {
        // white space before a call is not the text's
        const { at } = from;
        const words = from.text.slice(given, at).trimEnd().length;
        from.at = given + words;
        if (words) give('text');
        from.at = at;
      });
      if (mark === null) return;
      if (mark !== begins) from.at += mark.length;
      yield* attempt(from.at - given + (mark === begins ? mark.length : 0));
    }
  }

  const reader = readAnswer();
  const run = (): Piece[] => {
    out = [];
    reader.next();
    flush();
    from.drop(from.at - given);
    given = 0;
    return out;
  };
  return {
    push(text) {
      from.text += text;
      return run();
    },
    end() {
      from.ended = true;
      const pieces = run();
      from.at = from.text.length;
      if (from.at > given) give(calls.length > 0 && !from.text.slice(given).trim() ? 'mark' : 'text');
      return pieces;
    },
    calls,
  };
}
