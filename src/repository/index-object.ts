import { hash } from 'node:crypto';
import { failure } from '../kernel/errors/failure.ts';
import { readEntries, footerEntryBytes } from '../pipeline/pack-format.ts';
import type { BlobLocation } from '../pipeline/blob.ts';
import type { PipelineKeys } from '../pipeline/keys.ts';
import { agentSalt, isAgentSalt } from '../pipeline/seal.ts';
import { openObject, sealObject } from './sealed-object.ts';

/** A pack as an index knows it: what a reader needs to open any blob of it with one ranged read. */
export interface IndexedPack {
  /** Hex. */
  readonly id: string;
  readonly salt: Uint8Array;
  readonly sizeBytes: number;
  /** Rows of `footerEntryBytes`. */
  readonly entries: Uint8Array;
}

/** id (32), salt (32), size of the pack (u32), number of rows (u32), its highest bit set for a pack of an agent. */
const packRecordBytes = 72;
const agentBit = 0x8000_0000;

/** One index object for some packs: its name is the hash of its bytes. */
export function encodeIndex(
  keys: PipelineKeys,
  packs: readonly IndexedPack[],
): { id: string; bytes: Uint8Array } {
  const parts: Uint8Array[] = [];
  for (const pack of packs) {
    const record = Buffer.alloc(packRecordBytes);
    record.set(Buffer.from(pack.id, 'hex'), 0);
    record.set(pack.salt.subarray(0, 32), 32);
    record.writeUInt32LE(pack.sizeBytes, 64);
    const rows = pack.entries.length / footerEntryBytes;
    record.writeUInt32LE(isAgentSalt(pack.salt) ? rows + agentBit : rows, 68);
    parts.push(record, pack.entries);
  }
  const bytes = sealObject(keys, 'index', Buffer.concat(parts), '');
  return { id: hash('sha256', bytes, 'hex'), bytes };
}

/** Opens an index object. `object_damaged` when it is not what was written. */
export function decodeIndex(keys: PipelineKeys, name: string, bytes: Uint8Array): IndexedPack[] {
  const contents = openObject(keys, 'index', name, bytes, '');
  const view = Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength);
  const packs: IndexedPack[] = [];
  for (let at = 0; at < view.length;) {
    if (at + packRecordBytes > view.length)
      throw failure('object_damaged', { name, reason: 'it ends in a pack' });
    const count = view.readUInt32LE(at + 68);
    const isAgents = count >= agentBit;
    const entriesEnd = at + packRecordBytes + (isAgents ? count - agentBit : count) * footerEntryBytes;
    const salt = view.subarray(at + 32, at + 64);
    if (entriesEnd > view.length) throw failure('object_damaged', { name, reason: 'it ends in a pack' });
    packs.push({
      id: view.toString('hex', at, at + 32),
      salt: isAgents ? agentSalt(salt) : Uint8Array.from(salt),
      sizeBytes: view.readUInt32LE(at + 64),
      entries: view.subarray(at + packRecordBytes, entriesEnd),
    });
    at = entriesEnd;
  }
  return packs;
}

export function blobsOf(pack: IndexedPack): Generator<BlobLocation, void, void> {
  return readEntries(pack.entries);
}
