import { basename, isAbsolute } from 'node:path';
import { failure } from '../../../../kernel/errors/failure.ts';
import type { Replication } from '../../../../postgres/replication/replication.ts';
import { showIfAllowed } from './facts.ts';

const settings = { config_file: 'postgresql.conf', hba_file: 'pg_hba.conf', ident_file: 'pg_ident.conf' };

/** Where a server has its files, as far as this role may know. */
export interface Places {
  readonly dataDirectory: string | null;
  /** By the name that each has in a data directory; null for one that may not be known. */
  readonly configFiles: ReadonlyMap<string, string | null>;
}

export async function readPlaces(replication: Replication): Promise<Places> {
  const configFiles = new Map<string, string | null>();
  for (const [setting, name] of Object.entries(settings))
    configFiles.set(name, await showIfAllowed(replication, setting));
  return { dataDirectory: await showIfAllowed(replication, 'data_directory'), configFiles };
}

/** A warning that names the configuration files that lie elsewhere; none when there are none. */
export function warnOfOutside(
  { dataDirectory, configFiles }: Places,
  more: readonly string[],
  topFiles: ReadonlySet<string>,
): readonly string[] {
  const outside = new Set<string>();
  const isOutside = (path: string): boolean =>
    dataDirectory !== null && isAbsolute(path) && !path.startsWith(`${dataDirectory}/`);
  for (const [name, path] of configFiles) {
    // A role that may not know where it is sees that it did not come.
    if (path === null ? !topFiles.has(name) : isOutside(path)) outside.add(path ?? name);
  }
  for (const path of more) if (isOutside(path) && basename(path) !== '') outside.add(path);
  if (outside.size === 0) return [];
  const paths = [...outside].toSorted().join(', ');
  const { code, message } = failure('cluster_config_outside', { paths });
  return [`${code}: ${message}`];
}
