import { targetSettings } from './auto-conf.ts';
import type { RecoverySettings, RecoveryTarget } from './options.ts';

type Setting = readonly [name: string, value: string];

const targetNames: Readonly<Record<RecoveryTarget['kind'], string>> = {
  immediate: 'recovery_target',
  time: 'recovery_target_time',
  lsn: 'recovery_target_lsn',
  xid: 'recovery_target_xid',
  name: 'recovery_target_name',
};

export interface BlockOptions {
  readonly serverMajor: number;
  readonly recovery: RecoverySettings;
  readonly keepArchiving: boolean;
  /** What the other files of the restored directory set. */
  readonly settings: ReadonlyMap<string, string>;
  /** They include files that were not read, which may set anything. */
  readonly mayBeMore: boolean;
}

/** Settings for `postgresql.auto.conf`, in their order. */
export function recoveryBlock(options: BlockOptions): Setting[] {
  const { recovery, keepArchiving, settings, mayBeMore, serverMajor } = options;
  const { restoreCommand, target, timeline, action } = recovery;
  const block: Setting[] = [
    ['restore_command', restoreCommand],
    ['recovery_target_timeline', String(timeline)],
  ];
  const wanted = target === null ? null : targetNames[target.kind];
  // The one that is wanted comes last: setting another to nothing may unset it as well.
  for (const name of targetSettings)
    if (name !== wanted && (mayBeMore || isSet(settings, name))) block.push([name, '']);
  if (target !== null && wanted !== null) {
    block.push(['recovery_target_action', action]);
    if (['time', 'lsn', 'xid'].includes(target.kind))
      block.push(['recovery_target_inclusive', target.inclusive ? 'on' : 'off']);
    block.push([wanted, target.kind === 'immediate' ? 'immediate' : target.value]);
  }
  // They would clear up, or report to, what belongs to the server that was backed up.
  for (const name of ['archive_cleanup_command', 'recovery_end_command'])
    if (isSet(settings, name)) block.push([name, '']);
  // It is of 15; what was there before does not read ahead.
  if (recovery.mustNotReadAhead === true && serverMajor >= 15) block.push(['recovery_prefetch', 'off']);
  if (!keepArchiving && (mayBeMore || archives(settings))) block.push(['archive_mode', 'off']);
  return block;
}

export function archives(settings: ReadonlyMap<string, string>): boolean {
  return !/^(?:|of|off|f|fa|fal|fals|false|n|no|0)$/i.test(settings.get('archive_mode') ?? '');
}

function isSet(settings: ReadonlyMap<string, string>, name: string): boolean {
  return (settings.get(name) ?? '') !== '';
}
