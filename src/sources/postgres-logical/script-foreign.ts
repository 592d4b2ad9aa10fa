import { failure } from '../../kernel/errors/failure.ts';
import type { Foreign } from './script-beginnings.ts';
import { ScriptScanner } from './script-scanner.ts';

const newline = 0x0a;

/** Throws `import_unknown` when text of which these are the first bytes shows at once that it is no script for psql. */
export function refuseForeignStart(bytes: Uint8Array, shown: string): void {
  const scanner = new ScriptScanner();
  scanner.push(bytes);
  const { foreign } = scanner.beginnings;
  if (foreign !== undefined)
    throw foreignText(foreign, 1 + newlinesIn(bytes.subarray(0, foreign.offset)), shown);
}

export function foreignText({ what }: Foreign, line: number, shown: string): Error {
  return failure('import_unknown', { file: shown, reason: `line ${line}: ${what}` });
}

export function newlinesIn(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, at + 1)) count += 1;
  return count;
}
