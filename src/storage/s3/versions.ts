import { ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { compareWith } from './compare.ts';
import { keyOf, type S3Context } from './context.ts';
import type { S3Deed } from './deed.ts';
import { deleteVersion } from './lock.ts';
import type { Body } from './body.ts';

export interface ObjectVersion {
  readonly id: string;
  readonly modifiedAtMs: number;
  /** Nothing but the note that the object was deleted. */
  readonly isMarker: boolean;
}

/** Every version of one key, the newest first; markers where their time puts them. */
export async function versionsOf(
  context: S3Context,
  name: string,
  signal: AbortSignal | undefined,
): Promise<readonly ObjectVersion[]> {
  const { Bucket, Key } = keyOf(context, name);
  const deed: S3Deed = { operation: 'ListObjectVersions', action: 'list the versions of', name };
  const found: ObjectVersion[] = [];
  let from: { readonly KeyMarker?: string; readonly VersionIdMarker?: string } = {};
  for (;;) {
    const command = new ListObjectVersionsCommand({ Bucket, Prefix: Key, ...from });
    const answer = await context.calls.run(deed, { signal }, ({ options }) =>
      context.client.send(command, options),
    );
    const lists = [
      { entries: answer.Versions ?? [], isMarker: false },
      { entries: answer.DeleteMarkers ?? [], isMarker: true },
    ];
    for (const { entries, isMarker } of lists) {
      for (const { Key: key, VersionId: id, LastModified: at } of entries)
        if (key === Key && id !== undefined) found.push({ id, modifiedAtMs: at?.getTime() ?? 0, isMarker });
    }
    const { IsTruncated: goesOn, NextKeyMarker: key, NextVersionIdMarker: version } = answer;
    // Keys that begin with this one come after it.
    if (goesOn !== true || key !== Key) break;
    from = { KeyMarker: key, ...(version === undefined ? {} : { VersionIdMarker: version }) };
  }
  return found.toSorted((a, b) => b.modifiedAtMs - a.modifiedAtMs);
}

/**
 * For services that overwrite: of all versions of a name that lie there, the first one stands. If that is not ours, ours
 * is taken back, and it is success where it has the same bytes, else `object_exists`.
 */
export async function settleVersions(
  context: S3Context,
  body: Body,
  versionId: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { name, bytes } = body;
  const all = await versionsOf(context, name, signal);
  const deletedAtMs = Math.max(
    -1,
    ...all.filter(({ isMarker }) => isMarker).map(({ modifiedAtMs }) => modifiedAtMs),
  );
  const standing = all.filter((version) => !version.isMarker && version.modifiedAtMs > deletedAtMs);
  const first = standing.at(-1);
  if (first === undefined || !standing.some(({ id }) => id === versionId)) {
    const { location } = context.place;
    throw failure('storage_failed', { action: 'write', name, location, reason: 'it was deleted meanwhile' });
  }
  if (first.id === versionId) return;
  const found = await compareWith(context, name, bytes, { signal, versionId: first.id });
  await deleteVersion(context, name, versionId, signal).catch((error: unknown) => {
    // The bytes are the same, or the conflict is told in any case.
    if (!isFailure(error)) throw error;
  });
  if (found !== 'same') throw failure('object_exists', { name, location: context.place.location });
}

/** Removes every version and every marker: the oldest first, so that none that was replaced comes to light. */
export async function deleteAllVersions(
  context: S3Context,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const all = await versionsOf(context, name, signal);
  const inOrder = [
    ...all.filter(({ isMarker }) => !isMarker).toReversed(),
    ...all.filter(({ isMarker }) => isMarker),
  ];
  for (const { id } of inOrder) await deleteVersion(context, name, id, signal);
}
