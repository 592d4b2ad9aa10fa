import { randomBytes } from 'node:crypto';

/** Lower-case hexadecimal digits, two a byte, that nobody can guess: for names that must be our own. */
export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}
