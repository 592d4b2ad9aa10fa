import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The version in package.json, which stands at the same distance from the sources and from what is published. */
export function holdfastVersion(): string {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
