/** Jinja2 as transformers sets it up: a template to a function of its variables. */
import { FILTERS } from './filters';
import { parse } from './parser';
import { render } from './render';
import { TESTS } from './tests';
import { type Dict, fromJson, type Value } from './values';
import { measured } from './work';

export { LIMITS, Refusal, stepsTaken, TemplateError } from './work';

export interface Template {
  /**
   * @param variables JSON values by name; whole numbers are ints, what is undefined is not there
   * @throws TemplateError what Python would refuse, and whatever is over a limit
   * @throws Refusal raise_exception's message
   */
  render(variables: Readonly<Record<string, unknown>>): string;
}

/** @throws TemplateError with the line, for what is not Jinja */
export function compile(source: string): Template {
  const known = { filter: (name: string) => FILTERS.has(name), test: (name: string) => TESTS.has(name) };
  const tree = measured(() => parse(source, known));
  return {
    render: (variables) => measured(() => render(tree, (fromJson(variables) as Dict).pairs() as [string, Value][])),
  };
}
