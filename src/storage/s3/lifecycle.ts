import {
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  type LifecycleRule,
} from '@aws-sdk/client-s3';
import type { S3Context } from './context.ts';
import type { S3Deed } from './deed.ts';
import { serviceCodeOf } from './errors.ts';

const dayMs = 86_400_000;
/** No upload of ours is under way for so long. */
const abandonedAfterDays = 2;
/** Classes whose objects must be asked for hours before they can be read. */
const archives: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE']);

/** What a lifecycle means for the objects below our prefix. */
export interface LifecycleFacts {
  /** Days until what was deleted or replaced goes for good; undefined when never. */
  readonly versionsExpireDays: number | undefined;
  readonly abandonedUploadDays: number | undefined;
  /** Rules that would delete, or put out of reach, objects that are in use. */
  readonly dangers: readonly string[];
}

/** An empty list where the bucket has none. */
export async function lifecycleRules(
  { place, client, calls }: S3Context,
  signal: AbortSignal | undefined,
): Promise<readonly LifecycleRule[]> {
  const command = new GetBucketLifecycleConfigurationCommand({ Bucket: place.bucket });
  const deed: S3Deed = {
    operation: 'GetBucketLifecycleConfiguration',
    action: 'read',
    name: 'the lifecycle',
  };
  try {
    const { Rules } = await calls.run(deed, { signal }, ({ options }) => client.send(command, options));
    return Rules ?? [];
  } catch (error) {
    if (serviceCodeOf(error) === 'NoSuchLifecycleConfiguration') return [];
    throw error;
  }
}

/** Puts our rule among those that are there, in the place of an older one of ours. Theirs stay as they are. */
export async function setLifecycle(context: S3Context, signal: AbortSignal | undefined): Promise<void> {
  const { place, client, calls } = context;
  const rule = ruleFor(context);
  const others = (await lifecycleRules(context, signal)).filter(({ ID }) => ID !== rule.ID);
  const command = new PutBucketLifecycleConfigurationCommand({
    Bucket: place.bucket,
    LifecycleConfiguration: { Rules: [...others, rule] },
  });
  const deed: S3Deed = { operation: 'PutBucketLifecycleConfiguration', action: 'set', name: 'the lifecycle' };
  await calls.run(deed, { signal }, ({ options }) => client.send(command, options));
}

function ruleFor({ place: { prefix, settings } }: S3Context): LifecycleRule {
  return {
    ID: `holdfast ${prefix === '' ? '(all)' : prefix}`.slice(0, 255),
    Status: 'Enabled',
    Filter: { Prefix: prefix },
    NoncurrentVersionExpiration: { NoncurrentDays: Math.max(1, Math.ceil(settings.versions_expire / dayMs)) },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: abandonedAfterDays },
    Expiration: { ExpiredObjectDeleteMarker: true },
  };
}

export function lifecycleFacts(rules: readonly LifecycleRule[], prefix: string): LifecycleFacts {
  const active = rules.filter((rule) => rule.Status === 'Enabled');
  // A rule for all of ours counts; one for a part of it may still do harm there.
  const whole = active.filter((rule) => prefix.startsWith(prefixOf(rule)) && !isNarrowed(rule));
  const touching = active.filter(
    (rule) => prefixOf(rule).startsWith(prefix) || prefix.startsWith(prefixOf(rule)),
  );
  return {
    versionsExpireDays: least(whole.map((rule) => rule.NoncurrentVersionExpiration?.NoncurrentDays)),
    abandonedUploadDays: least(whole.map((rule) => rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation)),
    dangers: touching.flatMap(dangerOf),
  };
}

function dangerOf(rule: LifecycleRule): string[] {
  const name = rule.ID ?? 'without a name';
  const { Days: days, Date: date } = rule.Expiration ?? {};
  const said: string[] = [];
  if (days !== undefined || date !== undefined)
    said.push(
      `rule "${name}" deletes objects ${days === undefined ? `on ${date?.toISOString()}` : `after ${days} days`}`,
    );
  const archived = rule.Transitions?.find(({ StorageClass }) => archives.has(StorageClass ?? ''));
  if (archived !== undefined) said.push(`rule "${name}" moves objects to ${archived.StorageClass}`);
  return said;
}

function prefixOf({ Filter: filter, Prefix: prefix }: LifecycleRule): string {
  return filter?.Prefix ?? filter?.And?.Prefix ?? prefix ?? '';
}

/** It holds for some objects only, by tags or sizes. */
function isNarrowed({ Filter: filter }: LifecycleRule): boolean {
  return (
    filter !== undefined &&
    (filter.Tag !== undefined ||
      filter.And !== undefined ||
      filter.ObjectSizeGreaterThan !== undefined ||
      filter.ObjectSizeLessThan !== undefined)
  );
}

function least(days: readonly (number | undefined)[]): number | undefined {
  const given = days.filter((value) => value !== undefined);
  return given.length === 0 ? undefined : Math.min(...given);
}
