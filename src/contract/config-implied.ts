import { failure } from '../kernel/errors/failure.ts';
import { emptyLayer, place, type Layer, type Origin } from './config-layer.ts';
import type { Variables } from './config-environment.ts';

const postgresVariables: readonly string[] = [
  'PGDATABASE',
  'PGHOST',
  'PGHOSTADDR',
  'PGSERVICE',
  'PGPORT',
  'PGUSER',
];

/** What a URL of a source looks like, for people. */
export const sourceUrlForms =
  'postgres://user@host:5432/database, pgdata:DIRECTORY for a whole server, sqlite:FILE for SQLite, files:DIRECTORY for files';

/**
 * The source meant when no source is configured: `DATABASE_URL`, else the `PG*` variables that libpq reads by itself.
 * It has the name of the database. Undefined when neither is set, and when `DATABASE_URL` is of something else: that
 * is no reason to refuse a command that needs no source.
 */
export function impliedSource(variables: Variables): Layer | undefined {
  const layer = emptyLayer();
  const url = variables.get('DATABASE_URL');
  if (url !== undefined && url.value !== '') {
    if (!/^postgres(?:ql)?:\/\//.test(url.value)) return undefined;
    const origin: Origin = { layer: 'environment', variable: 'DATABASE_URL', file: url.file };
    const name = sourceNameOf(url.value, 'DATABASE_URL');
    addSource(layer, name, origin);
    place(layer, ['sources', name, 'url'], url.value, origin);
    return layer;
  }
  const [variable] = postgresVariables.filter((candidate) => (variables.get(candidate)?.value ?? '') !== '');
  if (variable === undefined) return undefined;
  const origin: Origin = { layer: 'environment', variable, file: variables.get(variable)?.file };
  const database = variables.get('PGDATABASE')?.value ?? variables.get('PGUSER')?.value ?? '';
  addSource(layer, asSourceName(database), origin);
  return layer;
}

/**
 * The name a source gets from its URL: that of the database, else of the user. Throws `source_url`. Neither the error nor
 * the name has anything of the password: whatever stands before the last @ is no database, however it is written.
 */
export function sourceNameOf(url: string, setting: string): string {
  const [, scheme, beforeQuery = '', query = ''] =
    /^([a-z][a-z0-9+.-]*:)?\/\/([^?]*)\??(.*)$/is.exec(url) ?? [];
  const suggestion = `write ${sourceUrlForms}`;
  if (scheme === undefined) throw failure('source_url', { setting, reason: 'it does not parse', suggestion });
  if (!['postgres:', 'postgresql:'].includes(scheme.toLowerCase()))
    throw failure('source_url', { setting, reason: `it begins with ${scheme}`, suggestion });
  const at = beforeQuery.lastIndexOf('@');
  const [, database = ''] = beforeQuery.slice(at + 1).split('/');
  const [user = ''] = beforeQuery.slice(0, Math.max(at, 0)).split(':');
  return asSourceName(decode(database) || (new URLSearchParams(query).get('dbname') ?? '') || decode(user));
}

function addSource(layer: Layer, name: string, origin: Origin): void {
  place(layer, ['sources', name, 'type'], 'postgres', origin);
  layer.origins.set(['sources', name], origin);
}

function asSourceName(text: string): string {
  const name = text
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^[-_]+/, '')
    .slice(0, 63);
  return name === '' ? 'postgres' : name;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A stray % makes a strange name, not an error: libpq will complain better than we can.
    return text;
  }
}
