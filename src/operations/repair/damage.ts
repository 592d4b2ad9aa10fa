import { configObject, keysPrefix, packIdOf } from '../../repository/layout.ts';
import type { Findings } from '../verify-findings.ts';
import type { MissingBackups } from './backups.ts';

/** What a verification found, as repair goes about it. */
export interface Damage {
  /** Hex ids of packs that are damaged or missing. */
  readonly packs: readonly string[];
  /** Hex ids of chunks that cannot be had. */
  readonly chunks: readonly string[];
  /** Names of all other objects, keys and manifests first. */
  readonly objects: readonly string[];
  /** No key is left that anything could be opened with. */
  readonly noKey: boolean;
  readonly missingBackups: MissingBackups;
  /** Something is wrong with WAL: what copies have of it and is missing here is looked for. */
  readonly wal: boolean;
}

const folders = [
  'keys/',
  'snapshots/',
  'trash/',
  'forgotten/',
  'pins/',
  'config/',
  'wal/',
  'reports/',
  'index/',
];

export function damageOf(findings: Findings): Damage {
  const subjects = [...findings.subjects()];
  const packs = subjects.map(packIdOf).filter((id) => id !== undefined);
  const objects = folders.flatMap((folder) =>
    // Of missing WAL only the folder is named.
    subjects.filter((name) => name.startsWith(folder) && !name.endsWith('/')),
  );
  return {
    packs: [...new Set(packs)],
    chunks: [...findings.damagedBlobs.keys()],
    objects: subjects.includes(configObject) ? [configObject, ...objects] : objects,
    noKey: subjects.includes(keysPrefix),
    missingBackups: findings.missingBackups,
    wal: findings.hasWalProblems,
  };
}

export function isNothing({ packs, chunks, objects, noKey, missingBackups, wal }: Damage): boolean {
  return packs.length + chunks.length + objects.length + missingBackups.size === 0 && !noKey && !wal;
}
