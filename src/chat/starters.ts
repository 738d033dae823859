/**
 * The model that the page offers, and four questions to begin with whose answers we have read (bench/default-model.md).
 */
export const DEFAULT_MODEL = './models/smollm2-135m-instruct-nf4/';

export const STARTERS = [
  'What is the capital of France?',
  'Explain photosynthesis in one sentence.',
  'Give me three tips for better sleep.',
  'What is the opposite of hot?',
];
