/**
 * How well documents answer a query, by a language model that was trained to say yes or no: Qwen3-Reranker, asked as
 * its model card does. What was typed is text there, whatever it is.
 */
import { NibbleError } from '../errors';
import { RERANK_OPTIONS } from '../options/reading';
import { checkOptions } from '../options/spec';
import type { Ranking, RerankRequest } from '../protocol';
import type { Tokenizer } from '../text/tokenizer';
import { hideControl } from '../text/typed-text';
import type { Model } from './model';
import { tokenizerOf } from './prompt';
import { idsOfText, readTexts } from './read-texts';

const SYSTEM =
  'Judge whether the Document meets the requirements based on the Query and the Instruct provided. ' +
  'Note that the answer can only be "yes" or "no".';
const INSTRUCTION = 'Given a web search query, retrieve relevant passages that answer the query';

/** Marks that the prompt is written with. */
const MARKS = ['<|im_start|>', '<|im_end|>', '<think>', '</think>'];

const promptOf = (instruction: string, query: string, document: string) =>
  `<|im_start|>system\n${SYSTEM}<|im_end|>\n<|im_start|>user\n<Instruct>: ${instruction}\n<Query>: ${query}\n` +
  `<Document>: ${document}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n`;

/** @throws invalid-option for a model that cannot be asked, or that was made for something else */
function answersOf({ checkpoint, graph }: Model, tokenizer: Tokenizer): { yes: number; no: number } {
  const { architectures, model_type } = checkpoint.config;
  const head = Array.isArray(architectures) ? String(architectures[0]) : null;
  const missing = ['yes', 'no', ...MARKS].filter((token) => tokenizer.idOf(token) === undefined);
  const why =
    checkpoint.modules?.refusal === null
      ? 'it is made for embeddings'
      : graph.spec.headless
        ? 'it has no head'
        : model_type !== 'qwen3'
          ? `it is a ${model_type}`
          : head !== null && !head.endsWith('ForCausalLM')
            ? `it is saved as ${head}`
            : missing.length > 0
              ? `its tokenizer has no ${missing.join(', ')}`
              : null;
  if (why === null) return { yes: tokenizer.idOf('yes')!, no: tokenizer.idOf('no')! };
  const message = `${checkpoint.name} is no reranker that is known here: ${why}. Choose a Qwen3-Reranker, as Qwen published it.`;
  throw new NibbleError('invalid-option', message, { modelType: String(model_type) });
}

/**
 * @returns a probability of each pair, in their order
 * @throws invalid-option for a model that is no reranker, and for no pairs; context-overflow, out-of-memory, aborted
 */
export async function rerank(
  model: Model,
  { pairs, options }: Pick<RerankRequest, 'pairs' | 'options'>,
  signal: AbortSignal,
): Promise<Ranking> {
  const { instruction = INSTRUCTION } = checkOptions(RERANK_OPTIONS, options);
  const tokenizer = tokenizerOf(model);
  const { yes, no } = answersOf(model, tokenizer);
  const control = tokenizer.control(model.graph.spec.vocab);
  const ids: number[][] = [];
  for (const pair of pairs) {
    const { value, standIns } = hideControl({ ...pair, instruction }, control, '', promptOf('', '', ''));
    const text = promptOf(value.instruction as string, value.query, value.document);
    ids.push(await idsOfText(model, text, { special: true, bos: false, standIns }, signal));
  }
  const { found, reusedTokens } = await readTexts(model, ids, { what: 'document' }, async (some) => {
    const logits = await model.executor.nextLogits(some, [yes, no], { signal });
    return logits.map(([yesLogit, noLogit]) => 1 / (1 + Math.exp(noLogit - yesLogit)));
  });
  return { scores: found, tokens: ids.reduce((sum, { length }) => sum + length, 0), reusedTokens };
}
