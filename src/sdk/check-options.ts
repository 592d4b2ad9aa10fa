import { failure } from '../kernel/errors/failure.ts';
import { nearest } from '../kernel/nearest.ts';
import type {
  BackupOptions,
  CallOptions,
  CleanOptions,
  InitOptions,
  ListOptions,
  RestoreOptions,
  VerifyOptions,
} from './options.ts';

/** The types that values may have, as `typeof` names them; `list` for arrays. A `!` means that it must be given. */
type Known<T> = { readonly [K in keyof Required<T>]: string };

const common: Known<CallOptions> = {
  config: 'string',
  repository: 'string',
  passphrase: 'string',
  jobs: 'number',
  settings: 'object',
  cwd: 'string',
  env: 'object',
  signal: 'object',
  onProgress: 'function',
  onLog: 'function',
  logLevel: 'string',
};

const init: Known<InitOptions> = {
  ...common,
  encryption: 'boolean',
  label: 'string',
  recoveryKit: 'string',
  createBucket: 'boolean',
};

const backup: Known<BackupOptions> = {
  ...common,
  source: 'string list object',
  from: 'string',
  tags: 'object',
  dryRun: 'boolean',
};

const restore: Known<RestoreOptions> = {
  ...common,
  id: 'string !',
  to: 'string !',
  only: 'string list',
  force: 'boolean',
  dryRun: 'boolean',
  owner: 'boolean',
  privileges: 'boolean',
  globals: 'boolean',
  check: 'boolean',
};

const list: Known<ListOptions> = { ...common, source: 'string', tags: 'object', limit: 'number' };

const clean: Known<CleanOptions> = {
  ...common,
  source: 'string list',
  keep: 'number',
  retention: 'object',
  dryRun: 'boolean',
};

const verify: Known<VerifyOptions> = {
  ...common,
  id: 'string list',
  readData: 'boolean',
  readDataSubset: 'number',
};

const known = {
  initRepository: init,
  openRepository: common,
  createBackup: backup,
  restoreBackup: restore,
  listBackups: list,
  verifyBackup: verify,
  cleanOldBackups: clean,
} satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * Refuses options that are misspelt or of the wrong type: in a program without types they would silently be without
 * effect. Throws `usage`.
 */
export function checkOptions(name: keyof typeof known, options: object): void {
  const wanted: Readonly<Record<string, string>> = known[name];
  if (typeof options !== 'object' || (options as unknown) === null)
    throw refused(`${name} was given something that is not an object of options`, `write ${name}({ … })`);
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(wanted, key)) continue;
    const near = nearest(key, Object.keys(wanted));
    throw refused(
      `${name} has no option ${key}`,
      near === undefined ? `it knows ${Object.keys(wanted).join(', ')}` : `did you mean ${near}?`,
    );
  }
  for (const [key, types] of Object.entries(wanted)) {
    const value = (options as Readonly<Record<string, unknown>>)[key];
    const allowed = types.split(' ');
    if (value === undefined && !allowed.includes('!')) continue;
    const type = value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value;
    if (allowed.includes(type)) continue;
    const expected = allowed.filter((word) => word !== '!').join(' or ');
    throw refused(
      value === undefined
        ? `${name} needs the option ${key}`
        : `the option ${key} of ${name} is of type ${type}`,
      `give it a value of type ${expected}`,
    );
  }
}

function refused(reason: string, suggestion: string): Error {
  return failure('usage', { reason, suggestion });
}
