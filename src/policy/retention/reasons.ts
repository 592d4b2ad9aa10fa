import type { Judgement, RetentionBackup } from './model.ts';

/** Reasons to keep backups, and why rules do not keep others. */
export class Reasons {
  readonly #keep = new Map<RetentionBackup, string[]>();
  readonly #pass = new Map<RetentionBackup, string[]>();

  keep(backup: RetentionBackup, reason: string): void {
    add(this.#keep, backup, reason);
  }

  pass(backup: RetentionBackup, reason: string): void {
    add(this.#pass, backup, reason);
  }

  judgement(backup: RetentionBackup): Judgement {
    const keep = this.#keep.get(backup);
    if (keep !== undefined) return { backup, action: 'keep', reasons: keep };
    return { backup, action: 'forget', reasons: this.#pass.get(backup) ?? ['no rule keeps it'] };
  }
}

function add(map: Map<RetentionBackup, string[]>, backup: RetentionBackup, reason: string): void {
  const list = map.get(backup);
  if (list === undefined) map.set(backup, [reason]);
  else list.push(reason);
}
