import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { App } from '../compose.ts';

/** Longer ago, the repository may be another one by now. */
const validMs = 3_600_000;

/**
 * Remembers files of `pg_wal` that are durable in the repository although PostgreSQL has not asked for them yet, so that
 * it need not be opened when it does. A mark holds for the very file that was stored, once.
 */
export class PushedFiles {
  readonly #directory: string;
  readonly #now: () => number;

  /** `repository`: its id, for another one may be in its place by now. */
  constructor(
    app: Pick<App, 'directories' | 'machine'>,
    { walDirectory, repository, source }: Record<'walDirectory' | 'repository' | 'source', string>,
  ) {
    const place = [resolve(app.machine.cwd, walDirectory), repository, source];
    const key = createHash('sha256').update(place.join('\0')).digest('hex').slice(0, 32);
    this.#directory = join(app.directories.state, 'wal-pushed', key);
    this.#now = () => app.machine.clock.now();
  }

  /** Whether the file is stored already; the answer is given once. */
  async take(path: string, name: string): Promise<boolean> {
    try {
      const isStored = await this.has(path, name);
      await rm(join(this.#directory, name));
      return isStored;
    } catch {
      return false; // There is no mark.
    }
  }

  /** The same, and the mark stays. */
  async has(path: string, name: string): Promise<boolean> {
    try {
      const found = JSON.parse(await readFile(join(this.#directory, name), 'utf8')) as {
        readonly file?: string;
        readonly at?: number;
      };
      const age = this.#now() - (found.at ?? 0);
      return age >= 0 && age < validMs && found.file === (await identityOf(path));
    } catch {
      return false; // There is none, or none that can be used: the file is stored once more.
    }
  }

  async mark(path: string, name: string, identity: string): Promise<void> {
    // What was stored is what lay there before it was read, unless it changed meanwhile.
    if ((await identityOf(path)) !== identity) return;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await writeFile(join(this.#directory, name), JSON.stringify({ file: identity, at: this.#now() }), {
      mode: 0o600,
    });
  }

  /** Drops marks that nobody asked for in time. */
  async tidy(): Promise<void> {
    for (const name of await readdir(this.#directory).catch(() => [])) {
      const path = join(this.#directory, name);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: this.#now() }));
      if (this.#now() - mtimeMs > validMs) await rm(path, { force: true });
    }
  }
}

/** Tells a file from any other and from itself with other bytes. */
export async function identityOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}
