import type { ModelChoice } from '../ui/models/model-choice';

/** A name for a saved cache: of one conversation with one model. */
export const cacheName = ({ name }: ModelChoice): string => `${name.slice(0, 99)}, ${new Date().toISOString()}`;
