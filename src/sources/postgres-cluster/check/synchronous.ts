import type { Finding } from '../../port.ts';
import { alterSystem, ok, reload, wrong, type Asked } from './question.ts';
import { isStreaming } from './slot-rows.ts';

/** The name that Holdfast's own connections have. */
const applicationName = 'holdfast';

/** Whether commits wait for the repository, and whether it can answer. */
export async function synchronous(asked: Asked): Promise<Finding[]> {
  const { session, settings, slots, options } = asked;
  const check = 'synchronous commit';
  if (session.inRecovery) return [];
  const wanted = parseStandbyNames(settings.text('synchronous_standby_names') ?? '');
  const ours = [options.slot.toLowerCase(), applicationName, '*'];
  if (wanted === undefined || !wanted.names.some((name) => ours.includes(name))) return [];
  const findings: Finding[] = [];
  if (await appliesRemotely(asked)) {
    const message =
      'synchronous_commit = remote_apply has commits wait until they are replayed, and Holdfast, which is named in synchronous_standby_names, replays nothing: they would wait for ever';
    findings.push(wrong(check, message, `${alterSystem('synchronous_commit', "'on'")} ${reload}`));
  }
  const there = await confirming(asked);
  if (there >= wanted.count) {
    if (findings.length === 0)
      findings.push(ok(check, 'commits wait until they are stored where synchronous_standby_names says'));
    return findings;
  }
  const message = isStreaming(slots, options.slot)
    ? `synchronous_standby_names wants ${wanted.count} to confirm each commit, and ${there} can: commits hang`
    : 'Holdfast is named in synchronous_standby_names and nothing streams: commits hang';
  const mend = `start holdfast wal stream --synchronous; or, to have commits go on without: ${alterSystem('synchronous_standby_names', "''")} ${reload}`;
  return [...findings, wrong(check, message, mend)];
}

/** For everybody, or for some role or database. */
async function appliesRemotely({ session, settings }: Asked): Promise<boolean> {
  if (settings.text('synchronous_commit') === 'remote_apply') return true;
  const [row] = await session.query<{ some: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting
                     WHERE 'synchronous_commit=remote_apply' = ANY (setconfig)) AS some`,
  );
  return row?.some === true;
}

/** How many stream that can confirm a commit. A user who may not see that is told by the slot alone. */
async function confirming({ session, slots, options }: Asked): Promise<number> {
  const [row] = await session.query<{ synchronous: string; hidden: string }>(
    `SELECT count(*) FILTER (WHERE sync_state IN ('sync', 'quorum') AND state = 'streaming')::text AS synchronous,
            count(*) FILTER (WHERE state IS NULL)::text AS hidden
       FROM pg_catalog.pg_stat_replication`,
  );
  if (row?.hidden === '0') return Number(row.synchronous);
  return isStreaming(slots, options.slot) ? Infinity : 0;
}

/** Names are compared without regard to case. Undefined when no commit waits for anybody. */
export function parseStandbyNames(
  text: string,
): { readonly count: number; readonly names: readonly string[] } | undefined {
  if (text.trim() === '') return undefined;
  const grouped = /^\s*(?:FIRST|ANY)?\s*(\d+)\s*\((.*)\)\s*$/is.exec(text);
  const [, count = '1', list = text] = grouped ?? [];
  const names = [...list.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)].map(([, quoted, plain = '']) =>
    (quoted?.replaceAll('""', '"') ?? plain).toLowerCase(),
  );
  return { count: Number(count), names };
}
