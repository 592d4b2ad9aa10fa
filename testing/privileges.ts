import { spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whether rights of files mean nothing to this process, as to root. */
export function passesOverRights(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-rights-'));
  try {
    const file = join(directory, 'shut');
    writeFileSync(file, '');
    chmodSync(file, 0);
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Command words that run a program as root to whom rights of files mean something; undefined where that cannot be. */
export function withoutSuperRights(): readonly string[] | undefined {
  const words = ['setpriv', '--bounding-set', '-dac_override,-dac_read_search', '--inh-caps', '-all'];
  const { status } = spawnSync(words[0] ?? '', [...words.slice(1), 'true']);
  return status === 0 ? words : undefined;
}
