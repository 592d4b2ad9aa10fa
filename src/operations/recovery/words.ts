import { formatLsn } from '../../postgres/lsn.ts';
import type { RecoveryTarget } from './target-model.ts';

/** `2026-11-21 20:33:00.123456`, UTC; as many digits as are needed. */
export function formatMicroseconds(us: number): string {
  const ms = Math.floor(us / 1000);
  const digits = String(us - Math.floor(us / 1_000_000) * 1_000_000).padStart(6, '0');
  const seconds = new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
  return digits === '000000' ? seconds : `${seconds}.${digits.replace(/0+$/, '')}`;
}

/** `2026-11-21 20:33:00.123456 UTC` */
export function instantWords(us: number): string {
  return `${formatMicroseconds(us)} UTC`;
}

/** `2026-11-21T20:33:00.123456Z`, for JSON. */
export function isoMicroseconds(us: number): string {
  return `${formatMicroseconds(us).replace(' ', 'T')}Z`;
}

export function shortId(id: string): string {
  return id.slice(0, 8);
}

export function targetWords(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'immediate':
      return 'the end of the backup';
    case 'end':
      return 'the end of the WAL';
    case 'time':
      return instantWords(target.value);
    case 'lsn':
      return `position ${formatLsn(target.value)}`;
    case 'xid':
      return `transaction ${target.value}`;
    case 'name':
      return `restore point ${JSON.stringify(target.value)}`;
  }
}
