import { describeOrigin } from '../contract/config-layer.ts';
import { retentionKeys, retentionSchema, type RetentionConfig } from '../contract/config-retention.ts';
import { failure } from '../kernel/errors/failure.ts';
import { Zone } from '../policy/retention/zone.ts';
import type { App } from './compose.ts';
import { primaryPlace } from './places.ts';

/** The policy that counts for a source, and where it is written. */
export interface ChosenPolicy {
  readonly policy: RetentionConfig;
  /** For people: `retention (holdfast.yaml:4:3)`, `the command line`. */
  readonly from: string;
}

/**
 * The policy for a source: what was given with the command as a whole, else that of the place, else its own, else the one
 * for all; null when there is none. `keep_wal` is no rule for backups: the one that is set holds unless another is given in its place.
 */
export function policyFor(
  { config, settings }: Pick<App, 'config' | 'settings'>,
  source: string,
  given: RetentionConfig | undefined,
): ChosenPolicy | null {
  const own = ownPolicy(config, source);
  const wal = given?.keep_wal ?? walWindow({ config, settings }, source);
  const withWal = (policy: RetentionConfig): RetentionConfig =>
    wal === undefined ? policy : { ...policy, keep_wal: wal };
  if (given !== undefined) return { policy: withWal(given), from: 'the command' };
  const place = primaryPlace({ config, settings });
  if (place.config?.retention !== undefined)
    return {
      policy: withWal(place.config.retention),
      from: placeOf(['repositories', place.name, 'retention']),
    };
  if (own !== undefined) return { policy: withWal(own), from: placeOf(['sources', source, 'retention']) };
  if (config.retention !== undefined)
    return { policy: withWal(config.retention), from: placeOf(['retention']) };
  return null;

  function placeOf(path: readonly string[]): string {
    const origin = settings.origins.of(path);
    const name = path.join('.');
    return origin.layer === 'default' ? name : `${name} (${describeOrigin(origin)})`;
  }
}

/** `keep_wal` for a source, as it is written; undefined when there is none. */
export function walWindow(
  { config, settings }: Pick<App, 'config' | 'settings'>,
  source: string,
): string | undefined {
  const place = primaryPlace({ config, settings }).config?.retention;
  return place?.keep_wal ?? ownPolicy(config, source)?.keep_wal ?? config.retention?.keep_wal;
}

function ownPolicy({ sources }: App['config'], source: string): RetentionConfig | undefined {
  return Object.hasOwn(sources, source) ? sources[source]?.retention : undefined;
}

/** A policy that came with a command or a call, checked as the configuration is. `usage`. */
export function givenPolicy(given: unknown): RetentionConfig | undefined {
  if (given === undefined) return undefined;
  const parsed = retentionSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.join('.') ?? '';
  const reason =
    issue?.code === 'unrecognized_keys'
      ? `there is no rule ${issue.keys.join(', ')}`
      : `${place === '' ? 'the policy' : place} ${issue?.message ?? 'is wrong'}`;
  const suggestion = `the rules are ${retentionKeys.join(', ')}`;
  throw failure('usage', { reason, suggestion });
}

/** The zone of the calendar: that of the settings, else that of the machine. */
export function calendarZone({ config }: Pick<App, 'config'>): Zone {
  return new Zone(config.timezone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone);
}
