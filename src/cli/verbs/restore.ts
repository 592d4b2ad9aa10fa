import { restore, type RestoreResult } from '../../app/restore.ts';
import type { Face } from '../face.ts';
import { plural } from '../../kernel/plural.ts';
import { bytes, duration } from '../format.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runRestore: Handler = (face, [id = ''], options) =>
  face.run(
    (context) =>
      restore(
        {
          ...commonOptions(options),
          id,
          to: text(options, 'to') ?? '',
          only: options['only'] as readonly string[] | undefined,
          owner: options['owner'] !== false,
          privileges: options['privileges'] !== false,
          globals: options['globals'] === true,
          check: options['check'] !== false,
          force: options['force'] === true,
          yes: options['yes'] === true,
          dryRun: options['dryRun'] === true,
        },
        context,
      ),
    (result) => render(face, result),
  );

const deeds = {
  create: 'a new database',
  replace: 'in the place of the existing database, which is kept under another name',
  fill: 'into the existing empty database',
  add: 'added to the existing database',
} as const;

function render(face: Face, { backup, plan, restored, duration_ms: took }: RestoreResult): void {
  for (const message of restored?.warnings ?? plan.warnings) face.notice({ level: 'warning', message });
  const what = `${plan.database} of backup ${backup.id.slice(0, 8)} to ${plan.target} at ${plan.server}, ${deeds[plan.mode]}`;
  const amounts = `${plural(plan.tables.length, 'table')}, ${plural(plan.rows, 'row')}, ${bytes(plan.bytes)}`;
  if (restored === null) {
    face.say(`would restore ${what}: ${amounts}; nothing was changed\n`);
    if (plan.roles_to_create.length > 0)
      face.say(`it would make the roles ${plan.roles_to_create.join(', ')} first\n`);
    return;
  }
  const compared =
    restored.checked > 0 ? `, ${plural(restored.checked, 'table')} compared with the backup and equal` : '';
  face.say(`restored ${what}: ${amounts}${compared}, in ${duration(took)}\n`);
  if (restored.roles_created.length > 0) face.say(`roles it made: ${restored.roles_created.join(', ')}\n`);
}
