/** The model that the page offers, and four questions to begin with whose answers we have read (bench/). */
export const DEFAULT_MODEL = './models/smollm2-135m-instruct-nf4/';

export const STARTERS = [
  'What is the capital of France?',
  'Why is the sky blue?',
  'Write a short poem about the sea.',
  'Give me three tips for better sleep.',
];
