import { readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { byteSize } from '../../../kernel/byte-size.ts';
import { parseWalFileName } from '../../../postgres/wal/names.ts';
import type { Finding } from '../../port.ts';
import { alterSystem, ok, reload, warning, type Asked } from './question.ts';

/** Whether the disk of the WAL holds what may wait on it for the repository. Of a server elsewhere nobody knows. */
export async function room({ options, settings }: Asked): Promise<Finding[]> {
  if (options.dataDirectory === undefined) return [];
  const check = 'room for WAL';
  const path = join(options.dataDirectory, 'pg_wal');
  let names: string[];
  try {
    names = await readdir(path);
  } catch {
    return []; // told where the directory is looked at
  }
  const { bavail, bsize } = await statfs(path);
  const segments = names.filter((name) => parseWalFileName(name)?.kind === 'segment').length;
  // What is there already is removed, or written anew, in its time.
  const available = bavail * bsize + segments * (settings.bytes('wal_segment_size') ?? 0);
  const needed = (settings.bytes('max_wal_size') ?? 0) + options.walWaitingLimitBytes;
  const message = `there is room for ${byteSize(available)} of WAL in ${path}`;
  if (available >= needed) return [ok(check, message)];
  const short = `${message}, less than max_wal_size and wal_waiting_limit together (${byteSize(needed)}): while the repository is away the server may stop before there is a warning`;
  const most = Math.max(1, Math.floor(available / 2 / 1_048_576));
  const mend = `make room there, or set wal_waiting_limit: ${most}MiB; or have the server rather lose WAL than stop: ${alterSystem('max_slot_wal_keep_size', `'${most}MB'`)} ${reload}`;
  return [warning(check, short, mend)];
}
