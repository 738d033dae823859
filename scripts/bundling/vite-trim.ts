/** Vite plugins that leave out what no visitor needs to download. Each fails the build when it no longer applies. */
import type { Plugin } from 'vite';

/**
 * marked's lexer without the rest of marked: its module ends by making a default instance, which pulls in parser and
 * renderer; ui/markdown/markdown.ts draws the tokens itself. What only options do that it does not set goes, too. Saves
 * 6 KB gzipped.
 */
export function markedLexerOnly(): Plugin {
  const INSTANCE = /var (\w+)=new \w+;function \w+\(\w+,\w+\)\{return \1\.parse\([\s\S]*?(?=export\s*\{)/;
  const EXPORTS = /export\s*\{[^}]*?(\w+) as Lexer[^}]*\};?/;
  const OPTIONS = /\bthis\.options\.(pedantic|breaks|extensions|hooks|silent)\b/g;
  const RULES = /,(?:pedantic|breaks):\w+(?=[,}])/g;
  return {
    name: 'nibble:marked-lexer',
    apply: 'build',
    transform: {
      filter: { id: /node_modules\/marked\/lib\/marked\.esm\.js$/ },
      handler(code) {
        const whole = [INSTANCE, EXPORTS, OPTIONS, RULES].every((part) => code.search(part) >= 0);
        if (!whole) this.error('marked has changed: see scripts/bundling/vite-trim.ts.');
        const lexer = code.replace(INSTANCE, '').replace(EXPORTS, 'export{$1 as Lexer};');
        return { code: lexer.replace(OPTIONS, 'null').replace(RULES, ''), map: null };
      },
    },
  };
}

/**
 * comlink without proxied arguments, which nothing here sends: their handler makes the page carry the worker's half of
 * comlink, and the worker the page's. Saves 1 KB gzipped in each. And without its own way to pass errors, which
 * passErrors() of src/protocol.ts puts another in the place of.
 */
export function comlinkHalves(): Plugin {
  const HANDLER = /const proxyTransferHandler = \{[\s\S]*?\n\};\n/;
  const ENTRY = /\["proxy", proxyTransferHandler\],/;
  const THROWN = /(const throwTransferHandler = \{\s+canHandle: [^\n]+\n)[\s\S]*?\n\};\n/;
  return {
    name: 'nibble:comlink-halves',
    apply: 'build',
    transform: {
      filter: { id: /node_modules\/comlink\/dist\/esm\/comlink\.mjs$/ },
      handler(code) {
        if (![HANDLER, ENTRY, THROWN].every((part) => part.test(code)))
          this.error('comlink has changed: see scripts/bundling/vite-trim.ts.');
        return { code: code.replace(HANDLER, '').replace(ENTRY, '').replace(THROWN, '$1};\n'), map: null };
      },
    },
  };
}

/** Pixels of a rem where a page has not said otherwise. */
const REM = 16;

/**
 * css`…` without line breaks, indentation and comments.
 * @param foreign it stands in other people's pages, whose `html { font-size: 62.5% }` is none of its business: rem
 * becomes px
 */
export function trimStyles(foreign = false): Plugin {
  const pixels = (style: string) =>
    style.replace(/(?<![\w.])(\d*\.?\d+)rem\b/g, (_, rems) => `${Number((rems * REM).toFixed(3))}px`);
  return {
    name: 'nibble:styles',
    apply: 'build',
    enforce: 'pre',
    transform: {
      filter: { id: /\/src\/(ui|chat|widget)\/.*\.ts$/, code: /css`/ },
      handler: (code) => ({
        code: code.replace(/css`[^`$]*`/g, (style) =>
          (foreign ? pixels(style) : style)
            .replace(/\/\*[\s\S]*?\*\//g, '')
            .replace(/\s+/g, ' ')
            .replace(/ ?([{};,]) ?/g, '$1'),
        ),
        map: null,
      }),
    },
  };
}

/**
 * Of the tables of src/options/ what is not read here: sentences, which only the command line's help and the documents
 * print, and in a page what only a model's files are compared with.
 */
export function withoutSentences(where: 'page' | 'worker'): Plugin {
  const names = where === 'page' ? 'says|generationConfig' : 'says';
  const said = new RegExp(`\\b(?:${names}):\\s*("(?:[^"\\\\]|\\\\.)*"|'(?:[^'\\\\]|\\\\.)*'),?`, 'g');
  return {
    name: 'nibble:sentences',
    apply: 'build',
    enforce: 'pre',
    transform: {
      filter: { id: /\/src\/options\/[\w-]+\.ts$/, code: /\bsays: ?['"]/ },
      handler: (code) => ({ code: code.replace(said, ''), map: null }),
    },
  };
}

/**
 * Lazy modules of a file that has them in it all the same: they become modules like the others, evaluated as the file
 * starts (3 ms more). Rolldown otherwise wraps every module that is reached lazily in a function. Saves 4.5 KB gzipped
 * of the worker that is one file.
 */
export function nothingLazy(): Plugin {
  let found = 0;
  return {
    name: 'nibble:nothing-lazy',
    apply: 'build',
    enforce: 'pre',
    transform: {
      filter: { id: /\/src\/.*\.ts$/, code: /\bimport\(/ },
      handler(code) {
        const imports: string[] = [];
        const eager = code.replace(/(?<!typeof )\bimport\(('\.[^']+')\)/g, (_, path: string) => {
          imports.push(`import * as lazy${imports.length} from ${path};`);
          return `Promise.resolve(lazy${imports.length - 1})`;
        });
        found += imports.length;
        return { code: [eager, ...imports].join('\n'), map: null };
      },
    },
    buildEnd(error) {
      if (!error && found === 0) this.error('no module is lazy: see scripts/bundling/vite-trim.ts.');
    },
  };
}

/**
 * lit asks for its Trusted Types policy when it is loaded, and where a page lists its policies without it
 * (`trusted-types 'none'`, or a second copy of the script) that is an exception before anything could be said.
 * src/widget/index.ts says it.
 */
export function litPolicyMayFail(): Plugin {
  const POLICY = /(\w+)\?(\1\.createPolicy\("lit-html",\{createHTML:(\w+)=>\3\}\)):void 0/;
  return {
    name: 'nibble:lit-policy',
    apply: 'build',
    transform: {
      filter: { id: /node_modules\/lit-html\/lit-html\.js$/ },
      handler(code) {
        if (!POLICY.test(code)) this.error('lit-html has changed: see scripts/bundling/vite-trim.ts.');
        return { code: code.replace(POLICY, '(()=>{try{return $1&&$2}catch{}})()'), map: null };
      },
    },
  };
}

/**
 * pdf.js without code made from strings: it asks whether it may make some, which a page's policy reports as a breach,
 * and makes some for PostScript functions of colours, which a PDF's text has none of.
 */
export function pdfWithoutEval(): Plugin {
  const ASKS = /try \{\s*new Function\(""\);\s*return true;\s*\} catch \{\s*return false;\s*\}/;
  const MAKES = /if \(factory\.isEvalSupported && FeatureTest\.isEvalSupported\) \{[\s\S]*?\n {4}\}\n/;
  return {
    name: 'nibble:pdf-without-eval',
    apply: 'build',
    transform: {
      filter: { id: /node_modules\/pdfjs-dist\/legacy\/build\/pdf(\.worker)?\.mjs$/ },
      handler(source, id) {
        const code = source.replace(ASKS, 'return false;').replace(MAKES, '');
        const gone = code.length < source.length && !/\bnew Function\b|(?<![\w.$])eval\(/.test(code);
        if (!gone) this.error(`${id} has changed: see scripts/bundling/vite-trim.ts.`);
        return { code, map: null };
      },
    },
  };
}

/** For what is built of src/ui and src/engine: the package, the widget and the page. */
export const trimmed = (): Plugin[] => [
  comlinkHalves(),
  markedLexerOnly(),
  litPolicyMayFail(),
  trimStyles(true),
  withoutSentences('page'),
];
