/**
 * The whole of our WGSL preprocessor. A kernel's source is built from one file by these rules, line by line:
 *
 *   $NAME, $i                 replaced by the value of a constant (capitals) or a #repeat index (one small letter)
 *   #include NAME             replaced by shaders/lib/NAME.wgsl
 *   #if FLAG / #if !FLAG      kept when the constant is true (false); #else; #end
 *   #repeat I COUNT … #end    repeated COUNT times with $I = 0, 1, …: registers have no index at run time,
 *                             so tiles that live in registers are unrolled in the text
 *   // Defaults: A = 1; B = x  a comment: values with which the shader can be read, and compiled, alone. A kernel gives
 *                             every constant itself; what is included gets the includer's values where both have one
 *
 * A constant is a value (a number, a flag, a list of numbers, the name of an include), never a piece of code.
 */
export type Constants = Readonly<Record<string, number | boolean | string>>;

/** @throws Error for an unknown constant, include or an unbalanced block: a defect of ours, not of the input */
export function preprocess(source: string, constants: Constants, library: Readonly<Record<string, string>>): string {
  const out: string[] = [];
  run(source.split('\n'), constants, library, out);
  return out.join('\n');
}

const DIRECTIVE = /^\s*#(include|if|else|repeat|end)\b\s*(\S*)\s*(\S*)/;

function run(
  lines: readonly string[],
  constants: Constants,
  library: Readonly<Record<string, string>>,
  out: string[],
): void {
  const value = (name: string): number | boolean | string => {
    if (name in constants) return constants[name];
    throw new Error(`WGSL constant ${name} is not defined`);
  };
  const substitute = (text: string): string =>
    text.replace(/\$([A-Z][A-Z0-9_]*|[a-z])/g, (_, name: string) => String(value(name)));
  for (let i = 0; i < lines.length; i++) {
    const match = DIRECTIVE.exec(lines[i]);
    if (!match) {
      out.push(substitute(lines[i]));
      continue;
    }
    const [, directive, first, second] = match;
    if (directive === 'include') {
      const name = substitute(first);
      if (!(name in library)) throw new Error(`WGSL include ${name} does not exist`);
      run(library[name].split('\n'), constants, library, out);
    } else if (directive === 'if' || directive === 'repeat') {
      const block = blockAt(lines, i);
      if (directive === 'if') {
        const negated = first.startsWith('!');
        const kept = Boolean(value(negated ? first.slice(1) : first)) !== negated;
        run(kept ? block.body : block.otherwise, constants, library, out);
      } else {
        const count = Number(/^\d+$/.test(second) ? second : value(second));
        for (let n = 0; n < count; n++) run(block.body, { ...constants, [first]: n }, library, out);
      }
      i = block.end;
    } else throw new Error(`WGSL #${directive} without a block, line ${i + 1}`);
  }
}

function blockAt(lines: readonly string[], start: number): { body: string[]; otherwise: string[]; end: number } {
  let depth = 0;
  let split = -1;
  for (let i = start; i < lines.length; i++) {
    const directive = DIRECTIVE.exec(lines[i])?.[1];
    if (directive === 'if' || directive === 'repeat') depth++;
    if (directive === 'else' && depth === 1) split = i;
    if (directive === 'end' && --depth === 0) {
      const middle = split < 0 ? i : split;
      return { body: lines.slice(start + 1, middle), otherwise: split < 0 ? [] : lines.slice(split + 1, i), end: i };
    }
  }
  throw new Error(`WGSL block of line ${start + 1} has no #end`);
}

/** The constants with which a shader is taken alone, those of all that it then includes among them. */
export function defaultsOf(source: string, library: Readonly<Record<string, string>>): Constants {
  const own: Record<string, number | boolean | string> = {};
  for (const [, list] of source.matchAll(/^\/\/ Defaults: (.*)$/gm)) {
    for (const [, name, value] of list.matchAll(/(\w+) = ?([^;]*)/g))
      own[name] = /^(true|false|\d+)$/.test(value) ? JSON.parse(value) : value;
  }
  const included = [...source.matchAll(/^\s*#include (\$?)(\S+)/gm)].map(([, constant, name]) =>
    defaultsOf(library[constant ? String(own[name]) : name], library),
  );
  return Object.assign({}, ...included, own);
}
