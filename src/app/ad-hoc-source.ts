import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { sourceNameOf, sourceUrlForms } from '../contract/config-implied.ts';
import { isSqliteName } from '../contract/config-source-guess.ts';
import { sourceSchema, type SourceConfig } from '../contract/config-source.ts';
import { failure } from '../kernel/errors/failure.ts';
import type { App } from './compose.ts';
import { typedPath } from './typed-path.ts';

/** `DATABASE_URL` may be that of another program. */
const notByThis = `name what to back up with --from (${sourceUrlForms}), or add it to sources in holdfast.yaml`;

type Place = Pick<App, 'machine' | 'config'>;

/**
 * The source of `--from`: `postgres://…`, `pgdata:DIRECTORY`, `sqlite:PATH` or `files:DIRECTORY`, with the defaults of its kind.
 * Throws `source_url`, `usage`.
 */
export function adHocSource(app: Place, from: string): { name: string; config: SourceConfig } {
  const [, scheme, path = ''] = /^(sqlite|files|pgdata):(?:\/\/(?=\/))?(.*)$/s.exec(from) ?? [];
  if (scheme === 'sqlite' || scheme === 'files') {
    if (path === '') {
      throw failure('usage', {
        reason: `--from ${scheme}: names no path`,
        suggestion: scheme === 'sqlite' ? '--from sqlite:./data/app.db' : '--from files:/srv/uploads',
      });
    }
    const paths = [typedPath(path, app.machine)];
    return { name: nameOfPath(path, scheme), config: sourceSchema.parse({ type: scheme, paths }) };
  }
  if (scheme === 'pgdata') return clusterIn(path, app);
  if (Object.hasOwn(app.config.sources, from)) {
    const reason = 'it is the name of a configured source';
    throw failure('source_url', { setting: '--from', reason, suggestion: `holdfast backup ${from}` });
  }
  const meant = pathMeant(from, app);
  if (meant !== undefined) throw notAUrl('--from', from, meant, app);
  const name = sourceNameOf(from, '--from');
  return { name, config: sourceSchema.parse({ type: 'postgres', url: from }) };
}

/** The cluster of a data directory, reached as its running server says. */
function clusterIn(path: string, { machine }: Place): { name: string; config: SourceConfig } {
  if (path === '') {
    throw failure('usage', {
      reason: '--from pgdata: names no data directory',
      suggestion: '--from pgdata:/var/lib/postgresql/17/main',
    });
  }
  const directory = typedPath(path, machine);
  const config = { type: 'postgres-cluster', data_directory: directory, ...socketOf(directory) };
  return { name: nameOfPath(path, 'cluster'), config: sourceSchema.parse(config) };
}

/** Where the server listens; nothing when it does not tell: then the PG* variables count, or its port is the usual one. */
function socketOf(directory: string): { readonly host?: string; readonly port?: number } {
  let lines: readonly string[];
  try {
    lines = readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return {}; // Whoever reads the directory will say why it cannot be.
  }
  const [, , , port = '', socket = '', address = ''] = lines.map((line) => line.trim());
  const host = socket.startsWith('/') ? socket : address === '*' ? 'localhost' : address;
  return /^\d+$/.test(port) && host !== '' ? { host, port: Number(port) } : {};
}

/** The error about a `DATABASE_URL` that names no PostgreSQL. */
export function notPostgres(url: string, app: Place): Error {
  const path = pathMeant(url, app);
  if (path !== undefined) return notAUrl('DATABASE_URL', url, path, app);
  const [, scheme] = /^([a-z][a-z0-9+.-]*:)/i.exec(url) ?? [];
  const reason = scheme === undefined ? 'it does not parse' : `it begins with ${scheme}`;
  return failure('source_url', { setting: 'DATABASE_URL', reason, suggestion: notByThis });
}

/** The path in `file:PATH`, or in what is one by its looks. Nothing else may be shown: it may hold a password. */
function pathMeant(text: string, { machine }: Place): string | undefined {
  // Behind a question mark stand options, such as the programs have whose DATABASE_URL is file:./dev.db?mode=ro.
  const [, rest] = /^file:(?:\/\/(?=\/))?([^?]+)/i.exec(text) ?? [];
  const path = rest ?? text;
  const looksSo = rest !== undefined || /^(?:\.{0,2}\/(?!\/)|~\/|\.{1,2}$|~$)/.test(path);
  if (looksSo && !path.includes('@')) return path;
  return path !== '' && kindAt(typedPath(path, machine)) !== undefined ? path : undefined;
}

function notAUrl(setting: string, text: string, path: string, { machine }: Place): Error {
  const found = kindAt(typedPath(path, machine)) ?? (isSqliteName(path) ? 'sqlite' : 'files');
  const reason = /^file:/i.test(text) ? 'it begins with file:' : 'it is a path';
  const suggestion = `did you mean --from ${found}:${path}? All forms: ${sourceUrlForms}`;
  return failure('source_url', { setting, reason, suggestion });
}

/** What lies at a path, by its first bytes; undefined when nothing does. */
function kindAt(path: string): 'sqlite' | 'files' | undefined {
  try {
    const isFile = statSync(path).isFile();
    return isFile && (isSqliteName(path) || beginsAsSqlite(path)) ? 'sqlite' : 'files';
  } catch {
    return undefined; // Nothing, or what cannot be looked at.
  }
}

function beginsAsSqlite(path: string): boolean {
  const first = Buffer.alloc(16);
  const file = openSync(path, 'r');
  try {
    readSync(file, first, 0, first.length, 0);
  } finally {
    closeSync(file);
  }
  return first.toString('latin1') === 'SQLite format 3\0';
}

/** `app` for `./data/app.db`, `uploads` for `/srv/uploads/`. */
function nameOfPath(path: string, otherwise: string): string {
  const name = basename(path, '.db')
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .replaceAll(/^[-_]+|-+$/g, '')
    .slice(0, 63);
  return name === '' ? otherwise : name;
}
