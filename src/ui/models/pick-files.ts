/**
 * The browser's own ways to pick a model's folder or files. Nothing is copied: what is picked is read where it lies.
 */
import type { ModelChoice } from './model-choice';

type FolderPicker = (options: { mode: 'read' }) => Promise<FileSystemDirectoryHandle>;

/** @returns null when the person thought better of it */
export async function pickFolder(): Promise<ModelChoice | null> {
  const { showDirectoryPicker } = window as { showDirectoryPicker?: FolderPicker };
  if (!showDirectoryPicker) return pickWith({ webkitdirectory: true });
  try {
    const handle = await showDirectoryPicker.call(window, { mode: 'read' });
    return { model: handle, name: handle.name };
  } catch (error) {
    if ((error as Error).name === 'AbortError') return null;
    throw error;
  }
}

/** A .gguf, or a folder's files one by one. @returns null when the person thought better of it */
export function pickFiles(): Promise<ModelChoice | null> {
  return pickWith({ multiple: true, accept: '.gguf,.safetensors,.json,.jinja' });
}

type Picks = Partial<Pick<HTMLInputElement, 'webkitdirectory' | 'multiple' | 'accept'>>;

function pickWith(options: Picks): Promise<ModelChoice | null> {
  const input = document.createElement('input');
  Object.assign(input, { type: 'file', ...options });
  return new Promise((resolve) => {
    input.addEventListener('change', () => resolve(choiceOf([...(input.files ?? [])])));
    input.addEventListener('cancel', () => resolve(null));
    input.click();
  });
}

function choiceOf(files: File[]): ModelChoice | null {
  if (files.length === 0) return null;
  const [{ name, webkitRelativePath }] = files;
  const folder = webkitRelativePath.split('/')[0];
  return { model: files, name: folder || (files.length === 1 ? name : `${files.length} files`) };
}
