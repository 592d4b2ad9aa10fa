import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';

const readBytes = 1_048_576;

/**
 * The bytes of a file, unpacked when it is `gzip`. `shown` is its name in errors. Rejects with `import_unreadable`, and
 * with `import_damaged` when it does not unpack to its end.
 */
export async function* importBytes(
  path: string,
  gzip: boolean,
  shown: string,
): AsyncGenerator<Buffer, void, void> {
  const file = createReadStream(path, { highWaterMark: readBytes });
  const bytes = gzip ? createGunzip({ chunkSize: 262_144 }) : file;
  if (bytes !== file) {
    file.on('error', (error) => bytes.destroy(error));
    file.pipe(bytes as ReturnType<typeof createGunzip>);
  }
  try {
    for await (const piece of bytes) yield piece as Buffer;
  } catch (error) {
    if (isFailure(error)) throw error;
    const { code = '' } = error as NodeJS.ErrnoException;
    const reason = reasonOf(error);
    if (!code.startsWith('Z_')) throw failure('import_unreadable', { file: shown, reason }, { cause: error });
    throw failure(
      'import_damaged',
      { file: shown, reason: `gzip cannot unpack it: ${reason}` },
      { cause: error },
    );
  } finally {
    file.destroy();
    bytes.destroy();
  }
}
