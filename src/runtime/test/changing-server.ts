/**
 * A server of one folder that puts another version in its place after a number of bytes, in the middle of an answer
 * too.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Files = ReadonlyMap<string, Uint8Array>;

/** What the server says of versions. */
export interface Told {
  etag?: boolean;
  modified?: boolean;
}

export interface ChangingServer {
  base: string;
  /** "model.safetensors 0-99", of every request */
  requests: string[];
  /** bytes of files that have gone out */
  sent: number;
  told: Told;
  /** answers with all of a file, whatever is asked */
  noRanges: boolean;
  /** adds to, or takes the place of, what is answered; true when it has answered */
  intercept: ((request: IncomingMessage, response: ServerResponse, path: string) => boolean) | null;
  readonly now: Files;
  /** begins anew with the first of these versions; each next one comes after that many bytes more */
  begin(versions: readonly Files[], after?: readonly number[]): void;
  /** puts another version in the place of the last one, now; the same one stays as it is */
  replace(version: Files): void;
  close(): void;
}

const PIECE = 16 << 10;

export async function serveChanging(): Promise<ChangingServer> {
  let versions: readonly Files[] = [];
  let after: number[] = [];
  let current = 0;
  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const it: ChangingServer = {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model/`,
    requests: [],
    sent: 0,
    told: {},
    noRanges: false,
    intercept: null,
    get now() {
      return versions[current];
    },
    begin(all, change = []) {
      [versions, after, current] = [all, [...change], 0];
      [it.sent, it.requests, it.noRanges, it.intercept] = [0, [], false, null];
    },
    replace(version) {
      if (version === it.now) return;
      versions = [...versions, version];
      [current, after] = [versions.length - 1, []];
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url!, it.base).pathname.replace('/model/', '');
    const asked = it.noRanges ? null : /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    it.requests.push(`${path} ${asked?.slice(1).join('-') ?? 'all'}`);
    if (it.intercept?.(request, response, path)) return;
    const file = it.now.get(path);
    if (!file) return void response.writeHead(404, { 'content-type': 'text/plain' }).end('nothing here');
    const start = asked ? Number(asked[1]) : 0;
    const end = asked ? Math.min(Number(asked[2]) + 1, file.length) : file.length;
    if (it.told.etag) response.setHeader('ETag', `"version-${current}"`);
    if (it.told.modified) response.setHeader('Last-Modified', new Date(Date.UTC(2026, 0, 1 + current)).toUTCString());
    if (asked) response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${file.length}`);
    response.writeHead(asked ? 206 : 200, { 'Content-Length': end - start });
    for (let at = start; at < end && !response.destroyed; at += PIECE) {
      // a file that is written over where it lies changes under an answer that has begun
      const piece = it.now.get(path)!.subarray(at, Math.min(end, at + PIECE));
      await new Promise<void>((done) => {
        response.once('close', done);
        response.write(piece, () => {
          response.off('close', done);
          done();
        });
      });
      it.sent += piece.length;
      for (; after.length > 0 && it.sent >= after[0] && current < versions.length - 1; current++) {
        const next = after.shift()!;
        after = after.map((bytes) => bytes + next);
      }
    }
    response.end();
  }
  return it;
}
