import { backup } from '../app/backup.ts';
import { clean } from '../app/clean.ts';
import { init } from '../app/init.ts';
import { list } from '../app/list.ts';
import { restore } from '../app/restore.ts';
import { verify } from '../app/verify.ts';
import { failure } from '../kernel/errors/failure.ts';
import { call, errorOf } from './call.ts';
import { checkOptions } from './check-options.ts';
import type {
  BackupOptions,
  CleanOptions,
  InitOptions,
  ListOptions,
  NamedSource,
  RestoreOptions,
  VerifyOptions,
} from './options.ts';
import type {
  BackupResult,
  CleanResult,
  InitResult,
  ListResult,
  RestoreResult,
  VerifyResult,
} from './results.ts';
import type { SourceSettings } from './settings.ts';

export async function initRepository(options: InitOptions): Promise<InitResult> {
  checkOptions('initRepository', options);
  const { encryption, label, recoveryKit, createBucket } = options;
  return await call(
    options,
    ['initRepository'],
    async (common, context) =>
      (await init({ ...common, encryption, label, recoveryKit, createBucket }, context)) as InitResult,
  );
}

export async function createBackup(options: BackupOptions): Promise<BackupResult> {
  checkOptions('createBackup', options);
  const { from, tags, dryRun } = options;
  const { names, given } = readSources(options.source);
  const settings = { ...options.settings, sources: { ...options.settings?.sources, ...given } };
  const asked = ['createBackup', ...names, ...(from === undefined ? [] : ['--from', from])];
  return await call({ ...options, settings }, asked, async (common, context) => {
    const result = await backup({ ...common, sources: names, from, tags, dryRun }, context);
    if (result.not_made.length > 0) context.signal.throwIfAborted();
    if (result.error !== undefined && result.backups.length === 0 && !result.dry_run)
      throw errorOf(result.error);
    return result as unknown as BackupResult;
  });
}

export async function restoreBackup(options: RestoreOptions): Promise<RestoreResult> {
  checkOptions('restoreBackup', options);
  const { id, to, owner, privileges, globals, check, force, dryRun } = options;
  const only = typeof options.only === 'string' ? [options.only] : options.only;
  const wish = { id, to, only, owner, privileges, globals, check, force, dryRun };
  return await call(
    options,
    ['restoreBackup', id, '--to', to],
    async (common, context) => (await restore({ ...common, ...wish }, context)) as RestoreResult,
  );
}

export async function listBackups(options: ListOptions): Promise<ListResult> {
  checkOptions('listBackups', options);
  const { source, tags, limit } = options;
  return await call(
    options,
    ['listBackups'],
    async (common, context) => (await list({ ...common, source, tags, limit }, context)) as ListResult,
  );
}

export async function cleanOldBackups(options: CleanOptions): Promise<CleanResult> {
  checkOptions('cleanOldBackups', options);
  const { source = [], keep, retention, dryRun } = options;
  if (keep !== undefined && retention?.keep_last !== undefined)
    throw usage('keep and retention.keep_last exclude each other', 'give one of the two');
  const rules = keep === undefined ? retention : { ...retention, keep_last: keep };
  const sources = typeof source === 'string' ? [source] : source;
  const asked = ['cleanOldBackups', ...sources, ...(rules === undefined ? [] : [JSON.stringify(rules)])];
  return await call(
    options,
    asked,
    async (common, context) =>
      (await clean({ ...common, sources, retention: rules, dryRun }, context)) as CleanResult,
  );
}

export async function verifyBackup(options: VerifyOptions): Promise<VerifyResult> {
  checkOptions('verifyBackup', options);
  const { id = [], readData, readDataSubset: subset } = options;
  const ids = typeof id === 'string' ? [id] : id;
  return await call(
    options,
    ['verifyBackup', ...ids],
    async (common, context) => (await verify({ ...common, ids, readData, subset }, context)) as VerifyResult,
  );
}

interface ReadSources {
  /** All that are meant, in the order in which they were given. */
  readonly names: readonly string[];
  /** Those given with their settings. */
  readonly given: Readonly<Record<string, SourceSettings>>;
}

function readSources(source: BackupOptions['source']): ReadSources {
  const names: string[] = [];
  const given: Record<string, SourceSettings> = {};
  for (const one of listOf(source)) {
    if (typeof one === 'string') {
      names.push(one);
      continue;
    }
    const { name, ...settings } = one;
    if (typeof name !== 'string') throw usage('a source has no name', "write source: { name: 'uploads', … }");
    names.push(name);
    given[name] = settings;
  }
  if (source !== undefined && names.length === 0)
    throw usage('the list of sources is empty', 'leave source out for all that are configured');
  return { names, given };
}

function listOf(source: BackupOptions['source']): readonly (string | NamedSource)[] {
  if (source === undefined) return [];
  return Array.isArray(source)
    ? (source as readonly (string | NamedSource)[])
    : [source as string | NamedSource];
}

function usage(reason: string, suggestion: string): Error {
  return failure('usage', { reason, suggestion });
}
