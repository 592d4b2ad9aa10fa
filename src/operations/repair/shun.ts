import { listMarks, newRun, putMark, readMark } from '../../repository/gc/marks.ts';
import type { RepairContext } from './context.ts';

/** How long backups on all machines take a damaged pack for not there; repaired again, once more. */
const shunnedMs = 7 * 86_400_000;

/**
 * Marks a damaged pack that stays, so that backups on other machines, which know nothing of the damage, do not rely on what
 * it holds. The mark is of a run that nobody knows what it saw: by it alone nothing is ever removed.
 */
export async function shun(
  { repository, clock, host, signal }: Pick<RepairContext, 'repository' | 'clock' | 'host' | 'signal'>,
  id: string,
): Promise<void> {
  const { storage, pipelineKeys } = repository;
  for await (const listed of listMarks(storage, signal)) {
    const mark = await readMark(storage, pipelineKeys, listed, signal);
    if (mark?.contents.packs.includes(id) === true) return;
  }
  const nowMs = clock.now();
  const mark = { schema: 1 as const, marked_at_ms: nowMs, grace_ms: shunnedMs, host };
  await putMark(storage, pipelineKeys, newRun(nowMs), 0, { ...mark, packs: [id], wal: [] }, signal);
}
