import { failure } from '../kernel/errors/failure.ts';

/** Bytes of one segment: what every common file system takes for one file name. */
const maxSegmentBytes = 255;
/** Bytes of a whole name: the longest key S3 and its kin take. */
const maxNameBytes = 1024;

const segment = /^[a-z0-9_-][a-z0-9._-]*$/;
const partialSegment = /^(?:[a-z0-9_-][a-z0-9._-]*)?$/;

/** True for one `/`-free part of an object name: `[a-z0-9._-]`, no leading dot, 1 to 255 bytes. */
export function isNameSegment(text: string): boolean {
  return text.length <= maxSegmentBytes && segment.test(text);
}

/** True for `segment/segment/…`, at most 1024 bytes in all. Names are ASCII, so characters are bytes. */
export function isObjectName(name: string): boolean {
  return name.length <= maxNameBytes && name.split('/').every(isNameSegment);
}

/** Throws `storage_name` unless `name` may name an object. */
export function assertObjectName(name: string): void {
  if (!isObjectName(name)) throw refused(name);
}

/** Throws `storage_name` unless `prefix` is '' or could be the beginning of an object's name. */
export function assertListPrefix(prefix: string): void {
  const folders = prefix.split('/');
  const last = folders.pop() ?? '';
  const valid =
    prefix.length <= maxNameBytes &&
    folders.every(isNameSegment) &&
    last.length <= maxSegmentBytes &&
    partialSegment.test(last);
  if (!valid) throw refused(prefix);
}

function refused(name: string): Error {
  const shown = name.length > 200 ? `${name.slice(0, 200)}…` : name;
  return failure('storage_name', { name: JSON.stringify(shown) });
}
