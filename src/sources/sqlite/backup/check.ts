import { access, constants, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { byteSize } from '../../../kernel/byte-size.ts';
import { isFailure, type HoldfastError } from '../../../kernel/errors/failure.ts';
import { plural } from '../../../kernel/plural.ts';
import type { Finding } from '../../port.ts';
import type { SqliteBackupOptions } from './backup.ts';
import { findDatabases, type Finds, type Found } from './find.ts';
import { isOpenHere } from '../holder.ts';
import { look } from '../look.ts';
import { readFailure } from '../sqlite-errors.ts';

/** Looks whether the databases could be backed up: for `doctor` and `--dry-run`. Opens none with SQLite. */
export async function checkSqlite(options: SqliteBackupOptions, signal: AbortSignal): Promise<Finding[]> {
  let finds: Finds;
  try {
    finds = await findDatabases(options, signal);
  } catch (error) {
    if (!isFailure(error)) throw error;
    return [finding('databases', 'error', error)];
  }
  const findings: Finding[] = finds.failed.map(({ error }) => finding('databases', 'error', error));
  findings.push(...finds.warnings.map((error) => finding('databases', 'warning', error)));
  const readable: Found[] = [];
  for (const found of finds.databases) {
    signal.throwIfAborted();
    const problem = await problemOf(found);
    if (problem === null) readable.push(found);
    else findings.push(finding('databases', 'error', problem));
  }
  const bytes = readable.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (readable.length > 0) {
    const sizes = await Promise.all(readable.map(sizesOf));
    const logs = sizes.reduce((sum, { log }) => sum + log, 0);
    const withLogs = logs === 0 ? '' : ` and ${byteSize(logs)} in logs (-wal)`;
    const message = `${plural(readable.length, 'database')}, ${byteSize(bytes)}${withLogs}`;
    findings.push({ check: 'databases', level: 'ok', message });
    findings.push(await roomFor(sizes, options.temporaryDirectory));
  }
  return findings;
}

async function problemOf({ file, path }: Found): Promise<HoldfastError | null> {
  try {
    await access(dirname(file), constants.R_OK | constants.X_OK);
    if (!isOpenHere(file)) look(file);
    return null;
  } catch (error) {
    const known = readFailure(path, error, 0);
    if (!isFailure(known)) throw error;
    return known;
  }
}

/** A database in use is copied before it is read. */
async function roomFor(databases: readonly Sizes[], directory: string): Promise<Finding> {
  const needed = Math.max(...databases.map(({ main, log }) => main + log));
  const { bavail, bsize } = await statfs(directory, { bigint: true });
  const free = Number(bavail * bsize);
  const check = 'temporary directory';
  const message = `${directory} has ${byteSize(free)} free; the largest database needs ${byteSize(needed)} for a copy when it is in use`;
  if (free > needed) return { check, level: 'ok', message };
  const mend = 'free some space there, or set temp_directory to a directory with more';
  return { check, level: 'error', message, mend, code: 'HF-5109' };
}

function finding(check: string, level: Finding['level'], error: HoldfastError): Finding {
  return { check, level, message: error.message, mend: error.hint, code: error.code };
}

interface Sizes {
  readonly main: number;
  /** Of what was written and has not been moved into the database yet: a young one may have most of its data there. */
  readonly log: number;
}

async function sizesOf({ file, sizeBytes }: Found): Promise<Sizes> {
  const { size } = await stat(`${file}-wal`).catch(() => ({ size: 0 }));
  return { main: sizeBytes, log: size };
}
