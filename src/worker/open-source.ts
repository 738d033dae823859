/** From the description that crossed to the worker to a Source. */
import { createFileSource } from '../weights/file-source';
import { createHttpSource } from '../weights/http-source';
import { createHubSource } from '../weights/hub-source';
import type { Source, SourceDescription } from '../weights/source';

export type OpenSource = (description: SourceDescription, onBytes: (path: string, bytes: number) => void) => Source;

export const openSource: OpenSource = (description, onBytes) => {
  switch (description.kind) {
    case 'files':
      return createFileSource(description.name, description.files);
    case 'http':
      return createHttpSource(description.base, { onBytes });
    case 'hub':
      return createHubSource(description, { onBytes });
  }
};
