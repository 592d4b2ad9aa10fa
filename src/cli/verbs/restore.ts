import {
  isCluster,
  isFiles,
  isPostgres,
  isSqlite,
  restore,
  type RestoreResult,
  type ResultOf,
} from '../../app/restore.ts';
import type { RecoveryOptions } from '../../app/recovery-wish.ts';
import type { FilesRestored, FilesRestoreSummary } from '../../sources/files/restore/restore.ts';
import type { RestorePlanSummary } from '../../sources/postgres-logical/restore-options.ts';
import type { RestoreSummary } from '../../sources/postgres-logical/restore.ts';
import type { SqliteRestored, SqliteRestoreSummary } from '../../sources/sqlite/restore/restore.ts';
import type { Face } from '../face.ts';
import { plural } from '../../kernel/plural.ts';
import { bytes, duration } from '../format.ts';
import { sayCluster } from './restore-cluster.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runRestore: Handler = (face, [id = ''], options) =>
  face.run(
    (context) =>
      restore(
        {
          ...commonOptions(options),
          id,
          to: text(options, 'to') ?? '',
          only: options['only'] as readonly string[] | undefined,
          owner: options['owner'] !== false,
          privileges: options['privileges'] !== false,
          globals: options['globals'] === true,
          check: options['check'] !== false,
          force: options['force'] === true,
          yes: options['yes'] === true,
          dryRun: options['dryRun'] === true,
          ...recoveryOptions(options),
        },
        context,
      ),
    (result) => render(face, result),
  );

function recoveryOptions(options: Readonly<Record<string, unknown>>): RecoveryOptions {
  return {
    at: text(options, 'at'),
    atLsn: text(options, 'atLsn'),
    atXid: text(options, 'atXid'),
    atName: text(options, 'atName'),
    atEnd: options['atEnd'] === true,
    exclusive: options['exclusive'] === true,
    timeline: text(options, 'timeline'),
    action: text(options, 'action'),
    delta: options['delta'] === true,
    tablespace: options['tablespace'] as readonly string[] | undefined,
    start: options['start'] === true,
    keepArchiving: options['keepArchiving'] === true,
  };
}

function render(face: Face, result: RestoreResult): void {
  const { restored, plan } = result;
  const kept = restored !== null && 'replaced' in restored ? restored.replaced : null;
  for (const message of restored?.warnings ?? plan.warnings)
    face.notice({ level: typeof kept === 'string' && message.includes(kept) ? 'info' : 'warning', message });
  if (isPostgres(result)) sayPostgres(face, result);
  else if (isSqlite(result)) saySqlite(face, result);
  else if (isFiles(result)) sayFiles(face, result);
  else if (isCluster(result)) sayCluster(face, result);
}

const deeds = {
  create: 'a new database',
  replace: 'in the place of the existing database, which is kept under another name',
  fill: 'into the existing empty database',
  add: 'added to the existing database',
} as const;

function sayPostgres(
  face: Face,
  { backup, plan, restored, duration_ms: took }: ResultOf<RestorePlanSummary, RestoreSummary>,
): void {
  const what = `${plan.database} of backup ${backup.id.slice(0, 8)} to ${plan.target} at ${plan.server}, ${deeds[plan.mode]}`;
  const parts =
    backup.kind === 'postgres-sql'
      ? `a script of ${plural(plan.objects, 'statement')}`
      : plural(plan.tables.length, 'table');
  const amounts = `${parts}, ${plural(plan.rows, 'row')}, ${bytes(plan.bytes)}`;
  if (restored === null) {
    face.say(`would restore ${what}: ${amounts}; nothing was changed\n`);
    if (plan.roles_to_create.length > 0)
      face.say(`it would make the roles ${plan.roles_to_create.join(', ')} first\n`);
    return;
  }
  const compared =
    restored.checked > 0 ? `, ${plural(restored.checked, 'table')} compared with the backup and equal` : '';
  face.say(`restored ${what}: ${amounts}${compared}, in ${duration(took)}\n`);
  if (restored.roles_created.length > 0) face.say(`roles it made: ${restored.roles_created.join(', ')}\n`);
}

function saySqlite(
  face: Face,
  { backup, plan, restored, duration_ms: took }: ResultOf<SqliteRestoreSummary, SqliteRestored>,
): void {
  const what = `${plural(plan.databases.length, 'database')} of backup ${backup.id.slice(0, 8)} to ${plan.target}`;
  if (restored === null) {
    face.say(`would restore ${what}: ${bytes(plan.bytes)}; nothing was changed\n`);
    for (const { path, file, mode } of plan.databases)
      face.say(`  ${path} to ${file}${mode === 'replace' ? ', in the place of what is there' : ''}\n`);
    return;
  }
  const examined = restored.checked > 0 ? ', examined and whole' : '';
  face.say(`restored ${what}: ${bytes(plan.bytes)}${examined}, in ${duration(took)}\n`);
  for (const { file, replaced } of restored.databases) if (replaced !== null) tellKept(face, file, replaced);
}

const places = {
  create: '',
  replace: ', in the place of what is there',
  add: ', added to what is there',
} as const;

function sayFiles(
  face: Face,
  { backup, plan, restored, duration_ms: took }: ResultOf<FilesRestoreSummary, FilesRestored>,
): void {
  const { files, directories, links } = restored ?? plan;
  const folders = directories === 1 ? '1 directory' : `${directories} directories`;
  const counts = `${plural(files, 'file')}, ${folders}, ${plural(links, 'link')}`;
  const what = `backup ${backup.id.slice(0, 8)} to the directory ${plan.target}${places[plan.mode]}: ${counts}, ${bytes(plan.bytes)}`;
  if (restored === null) {
    face.say(`would restore ${what}; nothing was changed\n`);
    return;
  }
  const compared = restored.checked > 0 ? `, ${plural(restored.checked, 'file')} read back and equal` : '';
  face.say(`restored ${what}${compared}, in ${duration(took)}\n`);
  if (restored.replaced !== null && plan.mode !== 'add') tellKept(face, restored.target, restored.replaced);
}

/** As was asked for: no warning. */
function tellKept(face: Face, place: string, kept: string): void {
  face.notice({ level: 'info', message: `what was at ${place} is kept as ${kept}` });
}
