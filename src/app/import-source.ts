import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { failure } from '../kernel/errors/failure.ts';
import type { BackupSource } from '../operations/contract.ts';
import { importedTag } from '../repository/find-backup.ts';
import { importTarFile } from '../sources/files/tar/import.ts';
import { importDumpFile } from '../sources/postgres-logical/import.ts';
import { importScriptFile } from '../sources/postgres-logical/script-import.ts';
import { importSqliteFile } from '../sources/sqlite/import.ts';
import type { App } from './compose.ts';
import { globalsBeside, type Description, type GlobalsFile } from './import-companions.ts';
import { recognise, type Recognised } from './import-recognise.ts';
import { randomHex } from './random-hex.ts';

/** A file to import, looked at and not read yet. */
export interface ImportFile extends Recognised {
  /** Absolute. */
  readonly path: string;
  /** As it was typed. */
  readonly shown: string;
  readonly description: Description | undefined;
  readonly source: string;
  readonly kind: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly globals: GlobalsFile | undefined;
}

/** For a program that has the database open. */
const lockWaitMs = 30_000;

const kinds = { dump: 'postgres', sql: 'postgres-sql', db: 'sqlite', tar: 'files' } as const;

/** Looks what a file is, and what its backup is to be called. Throws `import_*`. */
export async function examine(
  file: { readonly path: string; readonly shown: string; readonly description: Description | undefined },
  options: {
    readonly source?: string | undefined;
    readonly tags?: Readonly<Record<string, string>> | undefined;
  },
): Promise<ImportFile> {
  const { path, shown, description } = file;
  const recognised = await recognise(path, shown);
  if (description?.contents?.globals !== undefined) {
    throw failure('import_unsupported', {
      file: shown,
      what: 'roles and tablespaces alone',
      mend: 'import the file of a database that was exported with it: where it lies beside that, it comes along',
    });
  }
  const { backup } = description ?? {};
  const described = isSourceName(backup?.source ?? '') ? backup?.source : undefined;
  return {
    ...file,
    ...recognised,
    source: options.source ?? described ?? nameFrom(path),
    kind: kinds[recognised.format],
    tags: {
      ...backup?.tags,
      [importedTag]: basename(path),
      imported_started_at: backup?.started_at ?? (await stat(path)).mtime.toISOString(),
      ...(backup?.id === undefined ? {} : { imported_id: backup.id }),
      ...options.tags,
    },
    globals: recognised.format === 'dump' ? await globalsBeside(path, description) : undefined,
  };
}

/** As the configuration takes them: a description can say anything. */
export function isSourceName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(name);
}

/** `shop` for `shop-20261120T150000Z.sql.gz` and for `/srv/shop.dump`. */
function nameFrom(path: string): string {
  const name = basename(path)
    .replace(/(?:\.(?:gz|sql|dump|pgdump|backup|db|sqlite3?|tar|tgz))+$/i, '')
    .replace(/-\d{8}T\d{6}Z$/, '')
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .replaceAll(/^[-_]+|-+$/g, '')
    .slice(0, 63);
  return name === '' ? 'imported' : name;
}

/** The file as something that can be backed up. */
export function sourceOf(app: App, file: ImportFile): BackupSource {
  const { path, shown, gzip, source: name, kind, globals } = file;
  const temporaryDirectory = app.directories.temp;
  const now = (): number => app.machine.clock.now();
  if (file.format === 'dump')
    return { name, kind, backup: (context) => importDumpFile({ path, shown, gzip, globals }, context) };
  if (file.format === 'tar')
    return {
      name,
      kind,
      backup: (context) => importTarFile({ path, shown, gzip, temporaryDirectory, now }, context),
    };
  if (file.format === 'db') {
    const options = {
      path,
      storedPath: file.description?.contents?.path,
      lockWaitMs,
      temporaryDirectory,
      randomHex,
      now,
    };
    return { name, kind, backup: (context) => importSqliteFile(options, context) };
  }
  const database = file.description?.contents?.database;
  return { name, kind, backup: (context) => importScriptFile({ path, shown, gzip, database }, context) };
}
