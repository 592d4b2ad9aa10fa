import { resolve } from 'node:path';
import { failure } from '../kernel/errors/failure.ts';
import type { WantedTimeline } from '../operations/recovery/reach.ts';
import type { RecoveryTarget } from '../operations/recovery/target-model.ts';
import { parseLsn } from '../postgres/lsn.ts';
import type { Machine } from './machine.ts';
import { parseMoment } from './moment.ts';

/** Options of a restore that mean something for clusters of PostgreSQL only, as they are given. */
export interface RecoveryOptions {
  /** A moment: `2026-11-21 20:15:30+00`, `10 minutes ago`. */
  readonly at?: string | undefined;
  readonly atLsn?: string | undefined;
  readonly atXid?: string | undefined;
  /** Of `pg_create_restore_point()`. */
  readonly atName?: string | undefined;
  /** Everything there is. */
  readonly atEnd?: boolean | undefined;
  /** Stop just before what was asked for in place of just behind it. */
  readonly exclusive?: boolean | undefined;
  /** `latest`, `current` or a number. */
  readonly timeline?: string | undefined;
  /** What the server does when it gets there. */
  readonly action?: string | undefined;
  /** Change the directory that is there into that of the backup. */
  readonly delta?: boolean | undefined;
  /** `OLD=NEW`: paths, or an OID for OLD. */
  readonly tablespace?: readonly string[] | undefined;
  /** Start the server when all is there, and wait until it got to where it should. */
  readonly start?: boolean | undefined;
  /** Leave archiving as it was set. */
  readonly keepArchiving?: boolean | undefined;
}

/** The same, understood. */
export interface ClusterWish {
  readonly target: RecoveryTarget;
  readonly timeline: WantedTimeline;
  readonly action: 'promote' | 'pause' | 'shutdown';
  readonly delta: boolean;
  /** New absolute paths, by what was written before the `=`. */
  readonly tablespaces: Readonly<Record<string, string>>;
  readonly start: boolean;
  readonly keepArchiving: boolean;
}

const flags: Readonly<Record<keyof RecoveryOptions, string>> = {
  at: '--at',
  atLsn: '--at-lsn',
  atXid: '--at-xid',
  atName: '--at-name',
  atEnd: '--at-end',
  exclusive: '--exclusive',
  timeline: '--timeline',
  action: '--action',
  delta: '--delta',
  tablespace: '--tablespace',
  start: '--start',
  keepArchiving: '--keep-archiving',
};
const names = Object.keys(flags) as (keyof RecoveryOptions)[];
const points = ['at', 'atLsn', 'atXid', 'atName', 'atEnd'] as const;

/** The first of these options that was given, as it is written; undefined when none was. */
export function recoveryFlagGiven(options: RecoveryOptions): string | undefined {
  const given = names.find((name) => isGiven(options[name]));
  return given === undefined ? undefined : flags[given];
}

/** Understands what was asked for. Throws `usage`. */
export function clusterWish(
  options: RecoveryOptions,
  { clock, cwd }: Pick<Machine, 'clock' | 'cwd'>,
): ClusterWish {
  const target = targetOf(options, clock.now());
  if (options.exclusive === true && !('inclusive' in target))
    throw usage('--exclusive goes with --at, --at-lsn or --at-xid', 'leave it out');
  return {
    target,
    timeline: timelineOf(options.timeline ?? 'latest'),
    action: actionOf(options.action ?? 'promote'),
    delta: options.delta === true,
    tablespaces: Object.fromEntries((options.tablespace ?? []).map((text) => tablespaceOf(text, cwd))),
    start: options.start === true,
    keepArchiving: options.keepArchiving === true,
  };
}

function targetOf(options: RecoveryOptions, nowMs: number): RecoveryTarget {
  const [first, second] = points.filter((name) => isGiven(options[name]));
  if (first !== undefined && second !== undefined)
    throw usage(`${flags[first]} and ${flags[second]} exclude each other`, 'give one of the two');
  const inclusive = options.exclusive !== true;
  const { at, atLsn, atXid, atName } = options;
  if (at !== undefined) return { kind: 'time', value: parseMoment(at, '--at', nowMs), inclusive };
  if (atLsn !== undefined) {
    const value = parseLsn(atLsn);
    if (value !== undefined) return { kind: 'lsn', value, inclusive };
    throw usage(`--at-lsn ${atLsn} is no position`, 'write it as PostgreSQL does: --at-lsn 16/B374D848');
  }
  if (atXid !== undefined) {
    const number = Number(atXid);
    if (/^\d{1,10}$/.test(atXid) && number >= 3 && number < 2 ** 32)
      return { kind: 'xid', value: BigInt(number), inclusive };
    throw usage(`--at-xid ${atXid} is no transaction`, 'write its number: --at-xid 123456');
  }
  if (atName !== undefined) {
    if (atName !== '' && Buffer.byteLength(atName) < 64) return { kind: 'name', value: atName };
    const suggestion = 'write what pg_create_restore_point() was given, of at most 63 bytes';
    throw usage(`--at-name ${atName} is no name of a restore point`, suggestion);
  }
  return { kind: options.atEnd === true ? 'end' : 'immediate' };
}

function timelineOf(text: string): WantedTimeline {
  if (text === 'latest' || text === 'current') return text;
  const number = Number(text);
  if (/^\d{1,10}$/.test(text) && number >= 1 && number < 2 ** 32) return number;
  throw usage(`--timeline ${text} is no timeline`, 'write latest, current or a number');
}

function actionOf(text: string): ClusterWish['action'] {
  if (text === 'promote' || text === 'pause' || text === 'shutdown') return text;
  throw usage(`--action does not know ${text}`, 'write promote, pause or shutdown');
}

function tablespaceOf(text: string, cwd: string): readonly [string, string] {
  const at = text.indexOf('=');
  const [from, to] = [text.slice(0, at), text.slice(at + 1)];
  if (at > 0 && to !== '') return [from, resolve(cwd, to)];
  const suggestion = '--tablespace /old/path=/new/path, or --tablespace 16400=/new/path';
  throw usage(`--tablespace ${text} does not say what goes where`, suggestion);
}

function isGiven(value: RecoveryOptions[keyof RecoveryOptions]): boolean {
  return value !== undefined && value !== false && (!Array.isArray(value) || value.length > 0);
}

function usage(reason: string, suggestion: string): Error {
  return failure('usage', { reason, suggestion });
}
