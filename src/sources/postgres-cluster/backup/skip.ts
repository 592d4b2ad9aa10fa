/** Directories whose content a server makes anew when it starts; they themselves must be there. */
const emptied: ReadonlySet<string> = new Set([
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
]);

/** Files that tell of this run of the server, or of another backup. */
const names: ReadonlySet<string> = new Set([
  '.DS_Store',
  'backup_label',
  'backup_label.old',
  'backup_manifest',
  'current_logfiles.tmp',
  'postgresql.auto.conf.tmp',
  'postmaster.opts',
  'postmaster.pid',
  'tablespace_map',
  'tablespace_map.old',
]);
/** Temporary files of queries, and caches that are built anew: what begins with one of these, wherever it lies. */
const beginnings = ['pgsql_tmp', 'pg_internal.init'];

/** Directories of `pg_wal` that a server does not make by itself in every version. */
const walDirectories: ReadonlySet<string> = new Set(['archive_status', 'summaries']);

const databaseDirectory = /^(?:base|pg_tblspc\/\d+\/PG_\d+_\d+)\/\d+$/;
const temporaryRelation = /^t\d+_\d+(?:_(?:fsm|vm|init))?(?:\.\d+)?$/;
const permanentRelation = /^(\d+)(?:_(fsm|vm|init))?(?:\.\d+)?$/;

/** Whether a directory is kept without what is in it. `path` is one in the data directory. */
export function isEmptied(path: string): boolean {
  return (
    emptied.has(path) || (path.startsWith('pg_wal/') && walDirectories.has(path.slice('pg_wal/'.length)))
  );
}

/**
 * Which names of a directory are left out, because the server makes them anew or does without them: the same as
 * `pg_basebackup` leaves out.
 */
export function leftOutOf(directory: string, all: readonly string[]): (name: string) => boolean {
  if (directory === 'pg_wal') return (name) => !walDirectories.has(name);
  const unlogged = databaseDirectory.test(directory) ? unloggedRelations(all) : undefined;
  return (name) => {
    if (beginnings.some((beginning) => name.startsWith(beginning))) return true;
    if (directory === '' && names.has(name)) return true;
    if (name === '.DS_Store' || (directory === 'global' && name === 'pg_control')) return true;
    return unlogged !== undefined && (temporaryRelation.test(name) || isUnlogged(name, unlogged));
  };
}

/** A relation with an init fork is unlogged: a server that recovers makes its other forks anew from that one. */
function unloggedRelations(all: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const name of all) {
    const [, filenode, fork] = permanentRelation.exec(name) ?? [];
    if (filenode !== undefined && fork === 'init') found.add(filenode);
  }
  return found;
}

function isUnlogged(name: string, unlogged: ReadonlySet<string>): boolean {
  const [, filenode, fork] = permanentRelation.exec(name) ?? [];
  return filenode !== undefined && fork !== 'init' && unlogged.has(filenode);
}
