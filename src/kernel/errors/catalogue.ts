import { clusterErrors } from './cluster.ts';
import { configErrors } from './config.ts';
import { coreErrors } from './core.ts';
import { demoErrors } from './demo.ts';
import { exportErrors } from './export.ts';
import { filesErrors } from './files.ts';
import { gcErrors } from './gc.ts';
import { keyErrors } from './keys.ts';
import { postgresErrors } from './postgres.ts';
import { recoveryErrors } from './recovery.ts';
import { repairErrors } from './repair.ts';
import { repositoryErrors } from './repository.ts';
import { restoreErrors } from './restore.ts';
import { retentionErrors } from './retention.ts';
import { sqliteErrors } from './sqlite.ts';
import { statusErrors } from './status.ts';
import { storageErrors } from './storage.ts';
import { syncErrors } from './sync.ts';
import { walCommandErrors } from './wal-commands.ts';
import { walStreamErrors } from './wal-stream.ts';
import { walErrors } from './wal.ts';

/**
 * Every error Holdfast shows, by name. Codes by area: 10xx core, command line and demo, 11xx configuration,
 * 20xx storage, 30xx repository, 31xx keys, 40xx restore, 41xx export and import, 50xx PostgreSQL, 51xx SQLite,
 * 52xx files, 53xx backup of clusters, 54xx WAL, 55xx restore and recovery of clusters, 60xx retention, 61xx prune,
 * 62xx copies, 63xx repair, 64xx status. Codes are never reused.
 */
export const catalogue = {
  ...coreErrors,
  ...demoErrors,
  ...configErrors,
  ...storageErrors,
  ...repositoryErrors,
  ...keyErrors,
  ...restoreErrors,
  ...exportErrors,
  ...postgresErrors,
  ...sqliteErrors,
  ...filesErrors,
  ...clusterErrors,
  ...recoveryErrors,
  ...walErrors,
  ...walCommandErrors,
  ...walStreamErrors,
  ...retentionErrors,
  ...gcErrors,
  ...syncErrors,
  ...repairErrors,
  ...statusErrors,
};

export type Catalogue = typeof catalogue;
export type ErrorName = keyof Catalogue;
