import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Command words that give the command after them mounts of its own, which end with it: root's own way, else that of
 * user namespaces, in which anybody may mount. Undefined where neither is allowed; then the test is skipped with a
 * word why, or fails where `CI` is set.
 */
export async function ownMounts(t: TestContext): Promise<readonly string[] | undefined> {
  let reason = '';
  for (const flags of ['-m', '-rm']) {
    try {
      await run('unshare', [flags, 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]);
      return ['unshare', flags];
    } catch (error) {
      reason = (error as Error).message.trim().replaceAll('\n', '; ');
    }
  }
  if ((process.env['CI'] ?? '') !== '') throw new Error(`nothing can be mounted here: ${reason}`);
  t.skip(`nothing can be mounted here: ${reason}`);
  return undefined;
}
