/** A text that a parser reads from its beginning to its end. */
export class Scanner {
  readonly source: string;
  /** where it is, in UTF-16 units */
  at = 0;

  constructor(source: string) {
    this.source = source;
  }

  get ended(): boolean {
    return this.at >= this.source.length;
  }

  /** Takes these signs, where they are what comes next. */
  eat(signs: string): boolean {
    const found = this.source.startsWith(signs, this.at);
    if (found) this.at += signs.length;
    return found;
  }

  /** What a sticky regex finds here: a parser stays linear where none of its regexes begins twice at one place. */
  take(regex: RegExp): RegExpExecArray | null {
    regex.lastIndex = this.at;
    const match = regex.exec(this.source);
    if (match) this.at = regex.lastIndex;
    return match;
  }

  /** The next code point; undefined at the end. */
  next(): number | undefined {
    const code = this.source.codePointAt(this.at);
    if (code !== undefined) this.at += code > 0xffff ? 2 : 1;
    return code;
  }
}
