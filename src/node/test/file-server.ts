/** A server of a folder's files, with ranges, that can hold an answer back in its middle. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface FileServer {
  origin: string;
  /** of weights: path and range, in the order that they came */
  requests: { path: string; start: number; end: number }[];
  /** from now on answers about this path stop after so many bytes of the file, and stay open; null: no longer */
  holdAt(path: string, bytes: number | null): void;
  /** resolves when an answer was held back, and who asked for it has read what there is of it */
  held(): Promise<void>;
  close(): Promise<void>;
}

/** Until the kernel holds nothing for the socket of this machine that has this port (proc(5), /proc/net/tcp). */
async function allRead(port: number): Promise<void> {
  const local = new RegExp(`^ *\\d+: \\w{8}:${port.toString(16).toUpperCase().padStart(4, '0')} `);
  for (;;) {
    const line = (await readFile('/proc/net/tcp', 'utf8')).split('\n').find((line) => local.test(line));
    // "sl local remote state tx:rx …"
    if (!line || /^0+$/.test(line.trim().split(/\s+/)[4].split(':')[1])) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function serveFiles(folder: string): Promise<FileServer> {
  const requests: FileServer['requests'] = [];
  let hold: { path: string; bytes: number } | null = null;
  let tell = () => {};
  let holding = new Promise<void>(() => {});
  const server: Server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://x').pathname);
    const bytes = await readFile(join(folder, path)).catch(() => null);
    if (!bytes) return void response.writeHead(404).end();
    const [, from = '0', to = String(bytes.length - 1)] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [];
    const start = Number(from);
    const end = Math.min(Number(to) + 1, bytes.length);
    if (start >= bytes.length) {
      return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    }
    requests.push({ path, start, end });
    response.writeHead(206, {
      'content-range': `bytes ${start}-${end - 1}/${bytes.length}`,
      'content-length': end - start,
    });
    if (hold?.path !== path || end <= hold.bytes) return void response.end(bytes.subarray(start, end));
    const told = tell;
    const { remotePort } = request.socket;
    response.write(bytes.subarray(start, Math.max(start, hold.bytes)), () => void allRead(remotePort!).then(told));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    holdAt(path, bytes) {
      hold = bytes === null ? null : { path, bytes };
      holding = new Promise((resolve) => {
        tell = resolve;
      });
    },
    held: () => holding,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
