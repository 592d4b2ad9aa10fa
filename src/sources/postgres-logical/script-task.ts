import type { StreamRef } from '../../contract/stream.ts';
import { failure } from '../../kernel/errors/failure.ts';
import type { Task, TaskModule } from '../../pipeline/task.ts';
import { importBytes } from '../import-bytes.ts';
import type { ScriptFacts } from './script-facts.ts';
import { foreignText, newlinesIn } from './script-foreign.ts';
import { ScriptScanner } from './script-scanner.ts';

export interface ScriptInput {
  readonly path: string;
  readonly gzip: boolean;
  /** The file's name in errors. */
  readonly shown: string;
}

export interface ScriptOutput {
  readonly stream: StreamRef;
  readonly statements: number;
  readonly tables: number;
  readonly rows: number;
  readonly transactional: boolean;
  readonly serverVersion: string | undefined;
  readonly dumpVersion: string | undefined;
}

export const scriptModule: TaskModule<ScriptInput, ScriptOutput> = {
  url: new URL(import.meta.url),
  exportName: 'importScript',
};

/** Stores a script and finds out what it does. Throws `import_*`. */
export const importScript: Task<ScriptInput, ScriptOutput> = async ({ path, gzip, shown }, context) => {
  const scanner = new ScriptScanner();
  const writer = context.openStream({ type: 'content', averageBytes: 32_768 });
  for await (const piece of importBytes(path, gzip, shown)) {
    context.signal.throwIfAborted();
    context.progress(piece.length);
    scanner.push(piece);
    await refuseForeign(scanner, path, gzip, shown);
    refuseReaching(scanner.facts, shown);
    await writer.write(piece);
  }
  const within = scanner.end();
  const { facts } = scanner;
  await refuseForeign(scanner, path, gzip, shown);
  if (within !== undefined)
    throw failure('import_damaged', { file: shown, reason: `it breaks off within ${within}` });
  refuseReaching(facts, shown);
  if (facts.isDump && !facts.isComplete)
    throw failure('import_damaged', { file: shown, reason: 'it lacks the last line that pg_dump writes' });
  if (facts.statements === 0) throw failure('import_unknown', { file: shown, reason: 'it has no statement' });
  // A dump of an empty database makes nothing.
  if (!facts.fills && !facts.isDump)
    throw failure('import_unknown', {
      file: shown,
      reason: 'none of its statements makes or fills anything',
    });
  const { statements, tables, rows, transactional, serverVersion, dumpVersion } = facts;
  const stream = await writer.finish();
  return { stream, statements, tables, rows, transactional, serverVersion, dumpVersion };
};

/** Text of another language. The file is read once more up to there, to find the line. */
async function refuseForeign(
  { beginnings: { foreign } }: ScriptScanner,
  path: string,
  gzip: boolean,
  shown: string,
): Promise<void> {
  if (foreign === undefined) return;
  let left = foreign.offset;
  let line = 1;
  for await (const piece of importBytes(path, gzip, shown)) {
    line += newlinesIn(piece.subarray(0, left));
    left -= piece.length;
    if (left <= 0) break;
  }
  throw foreignText(foreign, line, shown);
}

/** A script is restored under another name first: what goes elsewhere by itself would miss it, or hit something else. */
function refuseReaching({ reaching, isCluster }: ScriptFacts, file: string): void {
  if (reaching.length === 0 && !isCluster) return;
  const what = isCluster
    ? 'a dump of a whole server (pg_dumpall)'
    : `commands that reach beyond one database: ${reaching.join(', ')}`;
  const mend = 'make it anew with pg_dump, a database each, without --create; psql runs it as it is';
  throw failure('import_unsupported', { file, what, mend });
}
