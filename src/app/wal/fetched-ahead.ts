import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf } from '../../kernel/errors/failure.ts';
import { getWalFile } from '../../operations/wal/get.ts';
import { addToLsn } from '../../postgres/lsn.ts';
import { parseWalFileName, segmentName, segmentStart } from '../../postgres/wal/names.ts';
import type { WalArchive } from '../../repository/wal/model.ts';
import type { App } from '../compose.ts';

/** What nobody asked for by then belongs to a recovery that is over. */
const staleMs = 3_600_000;
const segmentPattern = /^[0-9A-F]{24}$/;

export interface AheadOptions {
  /** Its id: another one may come into its place. */
  readonly repository: string;
  readonly source: string;
  readonly systemIdentifier: string | undefined;
  /** Where PostgreSQL wants its WAL: two servers that recover side by side fetch apart. */
  readonly walDirectory: string;
  readonly limitBytes: number;
}

/**
 * Segments that were fetched before they were asked for, in a directory of our own: in `pg_wal` the server would take them
 * for its own. A process that outlives the command fills it while the server replays.
 */
export class FetchedAhead {
  readonly #app: App;
  readonly #options: AheadOptions;
  /** Of all recoveries. */
  readonly #shelf: string;
  readonly #directory: string;

  constructor(app: App, options: AheadOptions) {
    this.#app = app;
    this.#options = options;
    const parts = [options.repository, options.source, options.systemIdentifier ?? '', options.walDirectory];
    const key = createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);
    this.#shelf = join(app.directories.cache, 'wal-ahead');
    this.#directory = join(this.#shelf, key);
  }

  /** Moves a segment to where it is wanted, when it is here. */
  async take(name: string, path: string): Promise<boolean> {
    const fetched = join(this.#directory, name);
    try {
      await rename(fetched, path);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EXDEV') return false;
    }
    // Between two file systems that is the answer whether or not it is here.
    try {
      await copyFile(fetched, path);
      await rm(fetched, { force: true });
      return true;
    } catch {
      return false; // The archive has it, and whoever writes it from there tells what is wrong with the place.
    }
  }

  /** Sees to it that the segments behind that one, which lies at `path`, will be here; another process fetches them. */
  async fillBehind(name: string, path: string): Promise<void> {
    try {
      const { size: segmentBytes } = await stat(path);
      const fetched = await this.#fetched();
      const bytes = fetched.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      if (this.#options.limitBytes < 2 * segmentBytes || bytes * 2 > this.#options.limitBytes) return;
      if (await this.#isBusy()) return;
      const last = fetched.at(-1)?.name ?? name;
      this.#start(last > name ? last : name);
    } catch (error) {
      this.#app.log.debug('no WAL is fetched ahead', { reason: reasonOf(error) });
    }
  }

  /** The work of that other process: fetches what comes behind `name` until there is enough, or no more. */
  async fetchBehind(archive: WalArchive, name: string): Promise<number> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await this.#sweepShelf();
    const lock = join(this.#directory, 'fetching');
    if (await this.#isBusy()) return 0;
    await writeFile(lock, String(process.pid), { mode: 0o600 });
    try {
      return await this.#fetchAll(archive, name);
    } finally {
      await rm(lock, { force: true });
    }
  }

  /** The recovery has come to its end. */
  async clear(): Promise<void> {
    try {
      await rm(this.#directory, { recursive: true, force: true });
    } catch (error) {
      // A server that root started may have a cache directory that it may not look into: it fetched nothing ahead.
      this.#app.log.debug('what was fetched ahead stays', { reason: reasonOf(error) });
    }
  }

  /** A recovery that stops at its target does not say so: what was fetched for it goes when the next one fetches. */
  async #sweepShelf(): Promise<void> {
    const now = this.#app.machine.clock.now();
    for (const name of await readdir(this.#shelf)) {
      const path = join(this.#shelf, name);
      if (path === this.#directory) continue;
      // Each file that comes or goes changes the directory.
      const stats = await stat(path).catch(() => undefined);
      if (stats !== undefined && now - stats.mtimeMs > staleMs)
        await rm(path, { recursive: true, force: true });
    }
  }

  async #fetchAll(archive: WalArchive, name: string): Promise<number> {
    const { segment_bytes: segmentBytes } = archive.info;
    const parsed = parseWalFileName(name);
    const start = parsed?.kind === 'segment' ? segmentStart(parsed, segmentBytes) : undefined;
    if (parsed === undefined || start === undefined) return 0;
    let bytes = (await this.#fetched()).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    let count = 0;
    for (; bytes + segmentBytes <= this.#options.limitBytes; bytes += segmentBytes) {
      count += 1;
      const next = segmentName(
        parsed.timeline,
        addToLsn(start, BigInt(count) * BigInt(segmentBytes)),
        segmentBytes,
      );
      if (!(await this.#fetch(archive, next))) return count - 1;
    }
    return count;
  }

  /** False where the archive ends: what is not whole is not kept, for it may be so a moment later. */
  async #fetch(archive: WalArchive, name: string): Promise<boolean> {
    const parsed = parseWalFileName(name);
    if (parsed === undefined) return false;
    // Of this process: another one that fetches the same must not write into it.
    const partial = join(this.#directory, `${name}.${process.pid}.part`);
    try {
      await using handle = await open(partial, 'w', 0o600);
      const sink = async (bytes: Uint8Array): Promise<void> => {
        await handle.writeFile(bytes);
      };
      const found = await getWalFile(archive, name, parsed, sink, { signal: this.#app.signal });
      if (found !== 'whole') return false;
      await rename(partial, join(this.#directory, name));
      return true;
    } finally {
      await rm(partial, { force: true });
    }
  }

  async #fetched(): Promise<readonly { readonly name: string; readonly sizeBytes: number }[]> {
    const found: { name: string; sizeBytes: number }[] = [];
    const now = this.#app.machine.clock.now();
    const names: string[] = await readdir(this.#directory).catch(() => []);
    for (const name of names.toSorted()) {
      const path = join(this.#directory, name);
      const stats = await stat(path).catch(() => undefined);
      if (stats === undefined || !segmentPattern.test(name)) continue;
      if (now - stats.mtimeMs > staleMs) await rm(path, { force: true });
      else found.push({ name, sizeBytes: stats.size });
    }
    return found;
  }

  async #isBusy(): Promise<boolean> {
    const text = await readFile(join(this.#directory, 'fetching'), 'utf8').catch(() => '');
    const pid = Number.parseInt(text, 10);
    if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
  }

  #start(name: string): void {
    const [script] = process.argv.slice(1);
    if (script === undefined) return;
    const at = this.#app.argv.indexOf('get');
    const flags = this.#app.argv.slice(at + 1).filter((word) => word !== '--json');
    const args = [...process.execArgv, script, 'wal', 'get', ...flags, '--behind', name];
    const child = spawn(process.execPath, args, {
      detached: true,
      stdio: 'ignore',
      cwd: this.#app.machine.cwd,
    });
    child.on('error', (error) => this.#app.log.debug('no WAL is fetched ahead', { reason: reasonOf(error) }));
    child.unref();
  }
}
