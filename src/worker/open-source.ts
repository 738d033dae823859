/** From the description that crossed to the worker to a Source. */
import { createFileSource } from '../weights/file-source';
import { createHttpSource } from '../weights/http-source';
import type { Source, SourceDescription } from '../weights/source';

export type OpenSource = (description: SourceDescription, onBytes: (path: string, bytes: number) => void) => Source;

export const openSource: OpenSource = (description, onBytes) =>
  description.kind === 'files'
    ? createFileSource(description.name, description.files)
    : createHttpSource(description, { onBytes });
