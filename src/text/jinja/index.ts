/** Jinja2 as transformers sets it up, without its environment: a template to a function of its variables. */
import { FILTERS } from './filters';
import { parse } from './parser';
import { render } from './render';
import { TESTS } from './tests';
import { fromJson } from './values';
import { measured } from './work';

export { LIMITS, Refusal, TemplateError } from './work';

export interface Template {
  /**
   * @param variables JSON values by name; whole numbers are ints
   * @returns the text, and the steps that it took (LIMITS)
   * @throws TemplateError what Python would refuse, and whatever is over a limit
   * @throws Refusal raise_exception's message
   */
  render(variables: Record<string, unknown>): { text: string; steps: number };
}

/** @throws TemplateError with the line, for what is not Jinja */
export function compile(source: string): Template & { steps: number } {
  const known = { filter: (name: string) => FILTERS.has(name), test: (name: string) => TESTS.has(name) };
  const { result: tree, steps } = measured(() => parse(source, known));
  return {
    steps,
    render(variables) {
      const names = Object.entries(variables).map(
        ([name, value]) => [name, value === undefined ? null : fromJson(value)] as const,
      );
      const { result, steps } = measured(() => render(tree, names));
      return { text: result, steps };
    },
  };
}
