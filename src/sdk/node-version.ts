import { failure } from '../kernel/errors/failure.ts';

/** Throws `node_too_old` where Holdfast cannot run. `version` is like `24.7.0`. */
export function requireNode(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 24 || (major === 24 && minor >= 7)) return;
  throw failure('node_too_old', { version: `v${version}` });
}
