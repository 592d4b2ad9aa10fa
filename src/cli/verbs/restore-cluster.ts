import type { ResultOf } from '../../app/restore.ts';
import { plural } from '../../kernel/plural.ts';
import type {
  ClusterRestored,
  ClusterRestoreSummary,
} from '../../sources/postgres-cluster/restore/restore.ts';
import type { Started } from '../../sources/postgres-cluster/restore/start.ts';
import type { Face } from '../face.ts';
import { bytes, duration } from '../format.ts';

const places = {
  create: '',
  delta: ', which is changed into what the backup has',
  replace: ', in the place of what is there',
} as const;

/** What was restored of a cluster, or would be, and what its server will do then. */
export function sayCluster(face: Face, result: ResultOf<ClusterRestoreSummary, ClusterRestored>): void {
  const { backup, plan, restored, duration_ms: took } = result;
  const what = `cluster ${backup.source}, backup ${backup.id.slice(0, 8)}, to ${plan.target}${places[plan.mode]}: ${plural(plan.files, 'file')}, ${bytes(plan.bytes)}`;
  if (restored === null) {
    face.say(`would restore ${what}; nothing was changed\n`);
    if (plan.removes > 0)
      face.say(`  ${plural(plan.removes, 'file')} that the backup does not have would go\n`);
  } else {
    const kept = restored.kept > 0 ? `, ${plural(restored.kept, 'file')} were right already` : '';
    face.say(`restored ${what}${kept}, in ${duration(took)}\n`);
    for (const place of restored.replaced)
      face.notice({ level: 'info', message: `what was there is kept as ${place}` });
  }
  for (const { oid, original, location } of plan.tablespaces)
    face.say(`  tablespace ${oid}, which was ${original}: ${location}\n`);
  if (restored?.started) sayStarted(face, restored.started);
  else face.say(`  its server will recover ${pointOf(plan)}${then(plan)}\n`);
  for (const [name, value] of Object.entries(restored?.settings ?? {}))
    face.say(`  set in postgresql.auto.conf: ${name} = '${value}'\n`);
  for (const message of (restored ?? plan).notes) face.notice({ level: 'info', message });
}

const states = {
  open: 'takes connections',
  paused: 'is paused there, for reading',
  standby: 'follows its primary',
  ended: 'has ended there',
} as const;

function sayStarted(face: Face, started: Started): void {
  const { state, port, last_lsn: lsn, last_transaction_at: at, timeline } = started;
  const reached = [
    ...(lsn === null ? [] : [`to ${lsn}`]),
    ...(at === null ? [] : [`the last transaction of ${at}`]),
    ...(timeline === null ? [] : [`on timeline ${timeline}`]),
  ].join(', ');
  const where = port === null ? '' : ` on port ${port}`;
  face.say(
    `  its server has recovered${reached === '' ? '' : ` ${reached},`} and ${states[state]}${where}; it says so in ${started.log}\n`,
  );
}

function pointOf({ recovery: { target, timeline } }: ClusterRestoreSummary): string {
  const along = timeline === 'latest' || timeline === 'current' ? '' : ` on timeline ${timeline}`;
  if (target === null) return `all the WAL there is${along}`;
  const just = target.inclusive ? '' : 'just before ';
  switch (target.kind) {
    case 'immediate':
      return `to the end of the backup${along}`;
    case 'time':
      return `to ${just}${target.value}${along}`;
    case 'lsn':
      return `to ${just}position ${target.value}${along}`;
    case 'xid':
      return `to ${just}transaction ${target.value}${along}`;
    case 'name':
      return `to the restore point ${target.value}${along}`;
  }
}

const thens = { promote: ' and then take connections', pause: ' and then pause', shutdown: ' and then end' };

function then({ recovery: { target, action } }: ClusterRestoreSummary): string {
  return target === null ? thens.promote : thens[action];
}
