/** Files that the system opens with the installed page (https://wicg.github.io/web-app-launch/). */

/** @returns those of them that are files and can still be read */
export async function filesOf(handles: readonly FileSystemHandle[]): Promise<File[]> {
  const files = handles.filter(({ kind }) => kind === 'file') as FileSystemFileHandle[];
  const read = await Promise.allSettled(files.map((handle) => handle.getFile()));
  return read.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
