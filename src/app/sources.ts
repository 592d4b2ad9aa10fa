import { basename } from 'node:path';
import { sourceSchema, type SourceConfig } from '../contract/config-source.ts';
import { sourceNameOf } from '../contract/config-implied.ts';
import { failure } from '../kernel/errors/failure.ts';
import type { BackupSource } from '../operations/contract.ts';
import type { App } from './compose.ts';
import { kindOf } from './kinds/find.ts';
import { unknownSource } from './list.ts';
import { typedPath } from './typed-path.ts';

/** A source to back up, with its settings. */
export interface ChosenSource {
  readonly name: string;
  readonly config: SourceConfig;
}

/**
 * The sources meant: those named, or all, or the one of `--from`.
 * `source_unknown`, `source_none`, `source_url`, `not_in_this_version`.
 */
export function chooseSources(app: App, names: readonly string[], from: string | undefined): ChosenSource[] {
  if (from !== undefined) return [adHoc(app, from)];
  const all = app.config.sources;
  if (Object.keys(all).length === 0) throw nothingConfigured(app);
  if (names.length === 0) return Object.entries(all).map(([name, config]) => ({ name, config }));
  return [...new Set(names)].map((name) => {
    const config = Object.hasOwn(all, name) ? all[name] : undefined;
    if (config === undefined) throw unknownSource(name, Object.keys(all));
    return { name, config };
  });
}

/** Prepares a source without touching it. Throws what is wrong with its settings. */
export async function prepareSource(app: App, { name, config }: ChosenSource): Promise<BackupSource> {
  return await (await kindOf(config.type)).prepare(app, name, config);
}

/** The source of `--from`: `postgres://…`, `sqlite:PATH` or `files:DIRECTORY`, with the defaults of its kind. */
function adHoc(app: App, from: string): ChosenSource {
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
  if (scheme === 'pgdata') {
    throw failure('not_in_this_version', {
      what: '--from pgdata:…',
      suggestion: 'this version backs up PostgreSQL logically: --from postgres://user@host:5432/database',
    });
  }
  const name = sourceNameOf(from, '--from');
  return { name, config: sourceSchema.parse({ type: 'postgres', url: from }) };
}

/** `app` for `./data/app.db`, `uploads` for `/srv/uploads/`. */
function nameOfPath(path: string, otherwise: string): string {
  const name = basename(path, '.db')
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .replaceAll(/^[-_]+|-+$/g, '')
    .slice(0, 63);
  return name === '' ? otherwise : name;
}

function nothingConfigured(app: App): Error {
  const url = app.env['DATABASE_URL'];
  if (url === undefined || url === '') return failure('source_none', {});
  const reason =
    /^[a-z][a-z0-9+.-]*:/i.exec(url) === null
      ? 'it does not parse'
      : `it begins with ${url.split(':', 1)[0]}:`;
  return failure('source_url', { setting: 'DATABASE_URL', reason });
}
