/** From the description that crossed to the worker to a Source. */
import { createFileSource } from '../sources/file-source';
import { createHttpSource } from '../sources/http-source';
import type { Source, SourceDescription } from '../sources/source';

/** @param onNote see RetryOptions */
export type OpenSource = (
  description: SourceDescription,
  onBytes: (path: string, bytes: number) => void,
  onNote?: (note: string) => void,
) => Source | Promise<Source>;

/** The code that knows the Hub is fetched when a model of the Hub is asked for. */
export const openSource = async (
  description: SourceDescription,
  onBytes: (path: string, bytes: number) => void,
  onNote?: (note: string) => void,
): Promise<Source> => {
  switch (description.kind) {
    case 'files':
      return createFileSource(description.name, description.files);
    case 'http':
      return createHttpSource(description.base, { onBytes, onNote });
    case 'hub':
      return (await import('../sources/hub-source')).createHubSource(description, { onBytes, onNote });
  }
};
