import {
  GetBucketEncryptionCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  GetPublicAccessBlockCommand,
} from '@aws-sdk/client-s3';
import { isFailure } from '../../kernel/errors/failure.ts';
import type { PlaceConcern, PlaceDescription } from '../description.ts';
import type { CallOptions } from '../port.ts';
import type { RequestContext } from './calls.ts';
import type { S3Context } from './context.ts';
import { httpStatusOf, serviceCodeOf } from './errors.ts';
import { lifecycleFacts, lifecycleRules } from './lifecycle.ts';

/** What the bucket is set to, and what of it is of concern for a repository. Changes nothing. */
export async function describeBucket(
  context: S3Context,
  { signal }: CallOptions = {},
): Promise<PlaceDescription> {
  const { place } = context;
  const [versioning, lock, access, encryption, lifecycle] = await Promise.all([
    versioningOf(context, signal),
    objectLockOf(context, signal),
    publicAccessOf(context, signal),
    encryptionOf(context, signal),
    found(signal, async () => lifecycleFacts(await lifecycleRules(context, signal), place.prefix)),
  ]);
  const days = (value: number | undefined): string => (value === undefined ? 'never' : `${value} days`);
  return {
    facts: {
      versioning,
      object_lock: lock,
      public_access: access,
      encryption,
      versions_expire: lifecycle === undefined ? 'unknown' : days(lifecycle.versionsExpireDays),
      abandoned_uploads_expire: lifecycle === undefined ? 'unknown' : days(lifecycle.abandonedUploadDays),
      endangering_rules: lifecycle === undefined ? 'unknown' : lifecycle.dangers.join('; ') || 'none',
    },
    concerns: [
      ...(lifecycle?.dangers ?? []).map((danger) => ({
        message: `${place.bucket}: the lifecycle ${danger}, backups among them`,
        mend: 'take that rule away, or limit it to another prefix: aws s3api get-bucket-lifecycle-configuration',
      })),
      ...concernsOf(context, {
        versioning,
        lock,
        access,
        expires: lifecycle?.versionsExpireDays !== undefined || lifecycle === undefined,
      }),
    ],
  };
}

function concernsOf(
  { place: { bucket, settings } }: S3Context,
  facts: {
    readonly versioning: string;
    readonly lock: string;
    readonly access: string;
    readonly expires: boolean;
  },
): PlaceConcern[] {
  const concerns: PlaceConcern[] = [];
  const say = (message: string, mend: string): void =>
    void concerns.push({ message: `${bucket}: ${message}`, mend });
  if (['off', 'suspended'].includes(facts.versioning))
    say(
      `versioning is ${facts.versioning}: what is deleted or overwritten by mistake or by an intruder is gone`,
      `aws s3api put-bucket-versioning --bucket ${bucket} --versioning-configuration Status=Enabled`,
    );
  if (facts.versioning === 'enabled' && !facts.expires)
    say(
      'versioning is on, and nothing removes old versions: what prune deletes is paid for until somebody does',
      'add a rule to the lifecycle that expires noncurrent versions; docs/storage-s3.md has it',
    );
  if (settings.object_lock !== undefined && facts.lock === 'off')
    say(
      's3.object_lock is set, and the bucket cannot lock objects',
      'make a bucket that can: holdfast init --create-bucket',
    );
  if (facts.access === 'not blocked' || facts.access === 'partly blocked')
    say(
      `public access is ${facts.access}: one wrong policy or ACL would show the objects to everybody`,
      `aws s3api put-public-access-block --bucket ${bucket} --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true`,
    );
  return concerns;
}

export async function versioningOf(context: S3Context, signal?: AbortSignal): Promise<string> {
  const command = new GetBucketVersioningCommand({ Bucket: context.place.bucket });
  const answer = await asked(context, 'GetBucketVersioning', signal, ({ options }) =>
    context.client.send(command, options),
  );
  return answer === undefined ? 'unknown' : (answer.Status?.toLowerCase() ?? 'off');
}

export async function objectLockOf(context: S3Context, signal?: AbortSignal): Promise<string> {
  const command = new GetObjectLockConfigurationCommand({ Bucket: context.place.bucket });
  const none = ['ObjectLockConfigurationNotFoundError', 'NoSuchObjectLockConfiguration'];
  const answer = await asked(
    context,
    'GetObjectLockConfiguration',
    signal,
    ({ options }) => context.client.send(command, options),
    none,
  );
  if (answer === undefined) return 'unknown';
  if (answer === 'none' || answer.ObjectLockConfiguration?.ObjectLockEnabled !== 'Enabled') return 'off';
  const {
    Mode: mode,
    Days: days,
    Years: years,
  } = answer.ObjectLockConfiguration.Rule?.DefaultRetention ?? {};
  if (mode === undefined) return 'on';
  return `on, by default ${mode.toLowerCase()} for ${days === undefined ? `${years ?? 0} years` : `${days} days`}`;
}

export async function publicAccessOf(context: S3Context, signal?: AbortSignal): Promise<string> {
  const command = new GetPublicAccessBlockCommand({ Bucket: context.place.bucket });
  const answer = await asked(
    context,
    'GetPublicAccessBlock',
    signal,
    ({ options }) => context.client.send(command, options),
    ['NoSuchPublicAccessBlockConfiguration'],
  );
  if (answer === undefined) return 'unknown';
  if (answer === 'none') return 'not blocked';
  const block = answer.PublicAccessBlockConfiguration;
  const parts = [
    block?.BlockPublicAcls,
    block?.IgnorePublicAcls,
    block?.BlockPublicPolicy,
    block?.RestrictPublicBuckets,
  ];
  const blocked = parts.filter((part) => part === true).length;
  // Ignoring public ACLs is as good as refusing them.
  if (parts.slice(1).every((part) => part === true)) return 'blocked';
  return blocked === 0 ? 'not blocked' : 'partly blocked';
}

export async function encryptionOf(context: S3Context, signal?: AbortSignal): Promise<string> {
  const command = new GetBucketEncryptionCommand({ Bucket: context.place.bucket });
  const answer = await asked(
    context,
    'GetBucketEncryption',
    signal,
    ({ options }) => context.client.send(command, options),
    ['ServerSideEncryptionConfigurationNotFoundError'],
  );
  if (answer === undefined) return 'unknown';
  if (answer === 'none') return 'none';
  const rule = answer.ServerSideEncryptionConfiguration?.Rules?.[0]?.ApplyServerSideEncryptionByDefault;
  return encryptions[rule?.SSEAlgorithm ?? ''] ?? 'none';
}

const encryptions: Readonly<Record<string, string>> = {
  AES256: 'sse-s3',
  'aws:kms': 'sse-kms',
  'aws:kms:dsse': 'sse-kms',
};

/** The answer; `none` when the service says with one of `noneCodes` that there is none; undefined when it cannot tell. */
function asked<T>(
  context: S3Context,
  operation: string,
  signal: AbortSignal | undefined,
  act: (request: RequestContext) => Promise<T>,
): Promise<T | undefined>;
function asked<T>(
  context: S3Context,
  operation: string,
  signal: AbortSignal | undefined,
  act: (request: RequestContext) => Promise<T>,
  noneCodes: readonly string[],
): Promise<T | 'none' | undefined>;
async function asked<T>(
  { calls, place }: S3Context,
  operation: string,
  signal: AbortSignal | undefined,
  act: (request: RequestContext) => Promise<T>,
  noneCodes: readonly string[] = [],
): Promise<T | 'none' | undefined> {
  return await found(signal, async () => {
    try {
      return await calls.run(
        { operation, action: 'look at', name: `bucket ${place.bucket}` },
        { signal },
        act,
      );
    } catch (error) {
      if (noneCodes.includes(serviceCodeOf(error) ?? '')) return 'none';
      throw error;
    }
  });
}

/** Undefined where the service does not know such a thing, or does not let us look. */
async function found<T>(signal: AbortSignal | undefined, look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    signal?.throwIfAborted();
    if (saysUnsupported(error) || isFailure(error, 'storage_denied')) return undefined;
    throw error;
  }
}

/** The service lacks that feature. */
export function saysUnsupported(error: unknown): boolean {
  const status = httpStatusOf(error);
  return (
    isFailure(error) &&
    (status === 501 || status === 405 || (isFailure(error, 's3_refused') && status === 400))
  );
}
