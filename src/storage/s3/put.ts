import { PutObjectCommand } from '@aws-sdk/client-s3';
import { failure } from '../../kernel/errors/failure.ts';
import { joinParts, sizeOf } from '../parts.ts';
import type { Body, Stored, UploadOptions } from './body.ts';
import { compareWith } from './compare.ts';
import { isTaken } from './conditional.ts';
import { keyOf, type S3Context } from './context.ts';
import type { S3Deed } from './deed.ts';
import { md5Of, plainEtag } from './etag.ts';
import { retainObject } from './lock.ts';
import { wishesFor } from './object-kinds.ts';
import { putInParts } from './upload.ts';
import { settleVersions } from './versions.ts';

/** A lock that was set when the upload began need not be set again when it ends. */
const uploadWithinMs = 3_600_000;

/** Names that are taken and let go again while a put is under way do not occur, but in tests. */
const mostRounds = 4;

/**
 * Stores an object where there is none. Where the service keeps the condition, that is one request. Where it does not,
 * what is there is looked at before and after.
 */
export async function putObject(
  context: S3Context,
  name: string,
  parts: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const bytes = parts.length === 1 && parts[0] !== undefined ? parts[0] : joinParts(parts);
  const isInParts = sizeOf(parts) > context.place.settings.part_size;
  const isConditional = await context.conditional.areHonoured(signal);
  // Who takes the condition for one request need not take it for the end of an upload in parts: only AWS is known to.
  const isGuarded = isConditional && (!isInParts || context.place.isAws);
  for (let round = 1; ; round += 1) {
    if (!isGuarded && (await isThereAlready(context, name, bytes, signal))) return;
    try {
      const upload = isInParts ? putInParts : putWhole;
      const { body, stored } = await upload(context, name, bytes, { isConditional, signal });
      await assertKept(context, body, stored, signal);
      if (!isGuarded) await assertOurs(context, body, stored, signal);
      // Ceph 16 takes a lock for an upload in parts and forgets it.
      if (isInParts) await assertLocked(context, name, signal);
      return;
    } catch (error) {
      if (!isTaken(error)) throw error;
      if (await isThereAlready(context, name, bytes, signal)) return;
      if (round < mostRounds) continue;
      const reason = 'others store and delete it at the same time';
      const { location } = context.place;
      throw failure('storage_failed', { action: 'write', name, location, reason }, { cause: error });
    }
  }
}

async function putWhole(
  context: S3Context,
  name: string,
  bytes: Uint8Array,
  { isConditional, signal }: UploadOptions,
): Promise<{ readonly body: Body; readonly stored: Stored }> {
  const md5 = md5Of(bytes);
  const command = new PutObjectCommand({
    ...keyOf(context, name),
    Body: bytes,
    ContentMD5: md5.toString('base64'),
    ContentType: 'application/octet-stream',
    ...(isConditional ? { IfNoneMatch: '*' } : {}),
    ...wishesFor(name, context),
  });
  const deed: S3Deed = { operation: 'PutObject', action: 'write', name };
  const sent = { signal, sentBytes: bytes.byteLength };
  const answer = await context.calls.run(deed, sent, ({ options }) => context.client.send(command, options));
  const stored = {
    etag: plainEtag(answer.ETag),
    versionId: answer.VersionId,
    isOpaque: answer.ServerSideEncryption?.startsWith('aws:kms') === true,
  };
  return { body: { name, bytes, etag: md5.toString('hex') }, stored };
}

/** False when the name is free; `object_exists` when other bytes are there. */
async function isThereAlready(
  context: S3Context,
  name: string,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const found = await compareWith(context, name, bytes, { signal });
  if (found === 'other') throw failure('object_exists', { name, location: context.place.location });
  return found === 'same';
}

/** The service has refused a body with a wrong MD5 already; this is about what it kept. */
async function assertKept(
  context: S3Context,
  { name, bytes, etag }: Body,
  stored: Stored,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (stored.isOpaque || stored.etag === undefined || stored.etag === etag) return;
  // An ETag of another make, or other bytes: only reading them tells.
  if ((await compareWith(context, name, bytes, { signal })) === 'same') return;
  const reason = `the service has the ETag ${stored.etag} for what was sent, which is ${etag}`;
  throw failure('storage_failed', { action: 'write', name, location: context.place.location, reason });
}

async function assertLocked(
  context: S3Context,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const untilMs = wishesFor(name, context).ObjectLockRetainUntilDate?.getTime();
  if (untilMs === undefined) return;
  await retainObject(context, name, untilMs, { signal, enoughMs: untilMs - uploadWithinMs });
}

/** Of several who stored the same name at once, the first in the service's own order wins. */
async function assertOurs(
  context: S3Context,
  body: Body,
  stored: Stored,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (stored.versionId !== undefined && stored.versionId !== 'null') {
    await settleVersions(context, body, stored.versionId, signal);
    return;
  }
  const found = await compareWith(context, body.name, body.bytes, { signal, knownEtag: body.etag });
  if (found === 'same') return;
  const { location } = context.place;
  if (found === 'other') throw failure('object_exists', { name: body.name, location });
  const reason = 'it was stored, and is not there';
  throw failure('storage_failed', { action: 'write', name: body.name, location, reason });
}
