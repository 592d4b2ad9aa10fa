import {
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  PutObjectRetentionCommand,
  type ObjectLockRetention,
} from '@aws-sdk/client-s3';
import { failure, isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { CallOptions } from '../port.ts';
import { keyOf, type S3Context } from './context.ts';
import type { S3Deed } from './deed.ts';
import { httpStatusOf, serviceCodeOf } from './errors.ts';
import { lockMode, wholeSecond } from './object-kinds.ts';

export interface RetainOptions extends CallOptions {
  /** A lock that lasts until then is good enough to be left as it is; `untilMs` unless given. */
  readonly enoughMs?: number;
}

/** Locks an object until then, unless it is locked for longer. A stricter mode stays. */
export async function retainObject(
  context: S3Context,
  name: string,
  untilMs: number,
  { signal, enoughMs = untilMs }: RetainOptions,
): Promise<void> {
  const current = await retentionOf(context, name, undefined, signal);
  if ((current?.RetainUntilDate?.getTime() ?? 0) >= enoughMs) return;
  const Mode =
    current?.Mode === 'COMPLIANCE' ? 'COMPLIANCE' : lockMode(context.place.settings.object_lock_mode);
  const command = new PutObjectRetentionCommand({
    ...keyOf(context, name),
    Retention: { Mode, RetainUntilDate: wholeSecond(untilMs) },
  });
  await context.calls.run(lockDeed('PutObjectRetention', name), { signal }, ({ options }) =>
    context.client.send(command, options),
  );
}

/** What holds an object, or one version of it; undefined when nothing does. */
export async function retentionOf(
  context: S3Context,
  name: string,
  versionId: string | undefined,
  signal: AbortSignal | undefined,
): Promise<ObjectLockRetention | undefined> {
  const version = versionId === undefined ? {} : { VersionId: versionId };
  const command = new GetObjectRetentionCommand({ ...keyOf(context, name), ...version });
  try {
    const { Retention } = await context.calls.run(
      lockDeed('GetObjectRetention', name),
      { signal },
      ({ options }) => context.client.send(command, options),
    );
    return Retention;
  } catch (error) {
    // Ceph says of an object without a lock what others say of a bucket without.
    const none = ['NoSuchObjectLockConfiguration', 'ObjectLockConfigurationNotFoundError'];
    if (none.includes(serviceCodeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Removes one version. Rejects with `storage_locked` where a lock holds it. */
export async function deleteVersion(
  context: S3Context,
  name: string,
  versionId: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const command = new DeleteObjectCommand({ ...keyOf(context, name), VersionId: versionId });
  const deed: S3Deed = { operation: 'DeleteObjectVersion', action: 'delete', name };
  try {
    await context.calls.run(deed, { signal }, ({ options }) => context.client.send(command, options));
  } catch (error) {
    if (isFailure(error, 'object_missing')) return;
    throw (await lockedFailure(context, name, versionId, error, signal)) ?? error;
  }
}

/** Services answer a delete of what is locked as they do one that a policy forbids: the lock itself tells. */
async function lockedFailure(
  context: S3Context,
  name: string,
  versionId: string,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<HoldfastError | undefined> {
  if (httpStatusOf(error) !== 403 && httpStatusOf(error) !== 400) return undefined;
  try {
    const retention = await retentionOf(context, name, versionId, signal);
    const until = retention?.RetainUntilDate;
    if (until === undefined || until.getTime() <= context.clock.now()) return undefined;
    const reason = `until ${until.toISOString()}, mode ${retention?.Mode?.toLowerCase() ?? 'unknown'}`;
    return failure('storage_locked', { name, location: context.place.location, reason }, { cause: error });
  } catch {
    signal?.throwIfAborted();
    // Without the permission to look at the lock, what the service said stands.
    return undefined;
  }
}

function lockDeed(operation: string, name: string): S3Deed {
  return { operation, action: 'lock', name };
}
