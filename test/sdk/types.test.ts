import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { z } from 'zod';
import { sdkErrorCodes } from '../../scripts/sdk-error-codes.ts';
import { sdkSettings } from '../../scripts/sdk-settings.ts';
import type * as backup from '../../src/app/backup.ts';
import type * as clean from '../../src/app/clean.ts';
import type { BackupView } from '../../src/app/backup-view.ts';
import type * as info from '../../src/app/info.ts';
import type * as init from '../../src/app/init.ts';
import type * as list from '../../src/app/list.ts';
import type { RestoreResult } from '../../src/app/restore.ts';
import type * as verify from '../../src/app/verify.ts';
import type { configSchema } from '../../src/contract/config.ts';
import { catalogue } from '../../src/kernel/errors/catalogue.ts';
import type { HoldfastError as Thrown } from '../../src/kernel/errors/failure.ts';
import { errorCodes } from '../../src/sdk/error-codes.ts';
import type { HoldfastError } from '../../src/sdk/errors.ts';
import type * as sdk from '../../src/sdk/results.ts';
import type { Settings } from '../../src/sdk/settings.ts';
import { readFileSync } from 'node:fs';

// The SDK has types of its own, so that the package needs no one else's. Here the compiler holds them to what use cases
// answer: a field that is missing on either side is an error of `tsc`.

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
type Holds<T extends true> = T;
/** Errors are plain records in use cases, and have fields in the SDK. */
type Plain<T> = Omit<T, 'error' | 'failed' | 'restored' | 'plan'>;
type SameFields<A, B> = Same<keyof A, keyof B> extends true ? Same<Plain<A>, Plain<B>> : false;

export type Checks = [
  Holds<SameFields<sdk.Backup, BackupView>>,
  Holds<SameFields<sdk.BackupDetails, info.InfoResult['backup']>>,
  Holds<SameFields<sdk.BackupEntry, info.EntryView>>,
  Holds<SameFields<sdk.InitResult, init.InitResult>>,
  Holds<SameFields<sdk.BackupResult, backup.BackupResult>>,
  Holds<SameFields<sdk.ListResult, list.ListResult>>,
  Holds<SameFields<sdk.CleanResult, clean.CleanResult>>,
  Holds<Same<sdk.PlannedBackup, clean.PlannedBackup>>,
  Holds<SameFields<sdk.VerifyResult, verify.VerifyResult>>,
  Holds<SameFields<sdk.RestoreResult, RestoreResult>>,
  Holds<Thrown extends Omit<HoldfastError, 'toJSON' | 'errorName'> ? true : false>,
  Holds<z.input<typeof configSchema> extends Settings ? true : false>,
  // Both ways, but for lists, which a caller may give read-only.
  Holds<Same<keyof z.input<typeof configSchema>, keyof Settings>>,
];

const generated = (name: string): string =>
  readFileSync(new URL(`../../src/sdk/${name}`, import.meta.url), 'utf8');

test('the codes of the SDK are those of the catalogue', () => {
  const codes = Object.entries(catalogue).map(([name, { code }]) => [name, code]);
  assert.deepEqual({ ...errorCodes }, Object.fromEntries(codes));
  assert.equal(generated('error-codes.ts'), sdkErrorCodes(), 'run: npm run generate');
});

test('the settings of the SDK are those of the schema', () => {
  assert.equal(generated('settings.ts'), sdkSettings(), 'run: npm run generate');
});
