/** The names of a GGUF's files: which are parts of one model. */

const PART = /-(\d{5})-of-(\d{5})\.gguf$/;
/** many times what any model has */
const MAX_PARTS = 1000;

/** All files of the model that a file is a part of, in order; itself where it is whole. */
export function ggufParts(path: string): string[] {
  const count = Number(PART.exec(path)?.[2] ?? 0);
  if (count < 1 || count > MAX_PARTS) return [path];
  const five = (n: number) => String(n).padStart(5, '0');
  return Array.from({ length: count }, (_, i) => path.replace(PART, `-${five(i + 1)}-of-${five(count)}.gguf`));
}

/**
 * The one model among .gguf files, by its first file; null where there are several, or none. What is no language model
 * is passed over.
 */
export function onlyGguf(names: Iterable<string>): string | null {
  const ggufs = [...names].filter((name) => name.endsWith('.gguf'));
  const models = ggufs.filter((name) => ggufs.length === 1 || !/(^|\/)mmproj/i.test(name));
  const [first, ...others] = new Set(models.map((name) => ggufParts(name)[0]));
  return first !== undefined && others.length === 0 ? first : null;
}
