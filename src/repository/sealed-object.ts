import { constants, zstdCompressSync } from 'node:zlib';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import { codecs, decompress } from '../pipeline/codec.ts';
import type { PipelineKeys } from '../pipeline/keys.ts';
import { headerBytes, newObject, ObjectSeal, saltOfHeader, type ObjectType } from '../pipeline/seal.ts';

const sectionHeaderBytes = 12;
const sectionKind = 0x51;
/** No index or manifest comes near this; a length beyond it is damage. */
const maximumRawBytes = 256 * 1024 * 1024;

/**
 * Seals a whole object with one section: header (64), section header (12), sealed and compressed contents.
 * `binding` is what else must be the same when it is opened: the object's name where the name is not a hash of it.
 */
export function sealObject(
  keys: PipelineKeys,
  type: ObjectType,
  contents: Uint8Array,
  binding: string,
): Uint8Array {
  const { header, seal } = newObject(keys, type);
  const packed = zstdCompressSync(contents, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
  const section = Buffer.alloc(sectionHeaderBytes);
  section[0] = sectionKind;
  section[1] = codecs.zstd;
  section.writeUInt32LE(contents.length, 4);
  section.writeUInt32LE(packed.length, 8);
  const additional = Buffer.concat([section, Buffer.from(binding)]);
  const [sealed, tag] = seal.seal(headerBytes, additional, packed);
  return Buffer.concat([header, section, sealed, tag]);
}

/**
 * Opens such an object; `object_damaged` naming it when anything about it is not as it was sealed. `fromAgents`: whether an
 * agent may have sealed it, where that does not go by its type.
 */
export function openObject(
  keys: PipelineKeys,
  type: ObjectType,
  name: string,
  bytes: Uint8Array,
  binding: string,
  fromAgents?: boolean,
): Uint8Array {
  try {
    saltOfHeader(keys, type, bytes, fromAgents);
    const section = Buffer.from(bytes.buffer, bytes.byteOffset + headerBytes, sectionHeaderBytes);
    const rawLength = section.readUInt32LE(4);
    const expectedLength = headerBytes + sectionHeaderBytes + section.readUInt32LE(8) + 16;
    if (section[0] !== sectionKind || rawLength > maximumRawBytes)
      throw new Error('its section header is damaged');
    if (bytes.length !== expectedLength)
      throw new Error(`it has ${bytes.length} bytes instead of ${expectedLength}`);
    const additional = Buffer.concat([section, Buffer.from(binding)]);
    const stored = bytes.subarray(headerBytes + sectionHeaderBytes);
    const packed = new ObjectSeal(keys, bytes.subarray(0, headerBytes)).open(headerBytes, additional, stored);
    return decompress(section[1] ?? -1, packed, rawLength);
  } catch (error) {
    throw failure('object_damaged', { name, reason: reasonOf(error) }, { cause: error });
  }
}
