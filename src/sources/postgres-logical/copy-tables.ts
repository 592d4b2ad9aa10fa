import type { Writable } from 'node:stream';
import { failure } from '../../kernel/errors/failure.ts';
import { CopyScanner, type CopyResult } from '../../pipeline/copy-scanner.ts';
import { startChild, writeTo } from '../../postgres/child.ts';
import type { ConnectionParameters } from '../../postgres/connection/connection.ts';
import { MarkSplitter } from './mark-splitter.ts';
import type { RestoreWork } from './restore-options.ts';
import { toolFailure } from '../../postgres/connection/server-errors.ts';
import { childEnvironment, settingOf } from '../../postgres/connection/session.ts';
import { toolPath } from '../../postgres/tools.ts';

/** What pg_dump sets for itself, beyond the environment of a child; and nothing that could stop a long COPY. */
const settings = [
  'SET row_security = off',
  'SET statement_timeout = 0',
  'SET lock_timeout = 0',
  'SET idle_in_transaction_session_timeout = 0',
  "SET search_path = ''",
];

const psqlArguments = ['--no-psqlrc', '--quiet', '--no-password', '--set=ON_ERROR_STOP=1', '--file=-'];

/**
 * Runs `COPY … TO STDOUT` statements one after the other and counts what each gives. By psql, which is far faster
 * than rows through the driver.
 */
export async function copyTables(
  statements: readonly string[],
  work: RestoreWork,
  database: ConnectionParameters,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<CopyResult[]> {
  const child = startChild({
    ...work.widen({ command: toolPath(work.tools, 'psql'), args: psqlArguments }),
    env: { ...childEnvironment(database, work.options.env), PGCLIENTENCODING: 'UTF8' },
    signal,
    stdin: 'pipe',
    stdout: 'pipe',
  });
  const script = writeScript(child.stdin as Writable, statements);
  const scanner = new CopyScanner({ intSize: 4 });
  const results: CopyResult[] = [];
  const splitter = new MarkSplitter({
    data: (bytes) => scanner.pushPlain(bytes),
    mark: () => {
      results.push(scanner.result());
      scanner.reset();
    },
  });
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      onBytes(piece.length);
      splitter.push(piece);
    }
    await script;
  } catch (error) {
    await child.stop();
    signal.throwIfAborted();
    throw error;
  }
  const exit = await child.exit;
  if (exit.code !== 0) throw toolFailure('psql', exit, settingOf(database));
  if (results.length !== statements.length) {
    throw failure('postgres_tool_failed', {
      tool: 'psql',
      status: 'exit 0',
      reason: `it copied ${results.length} of ${statements.length} tables`,
    });
  }
  return results;
}

async function writeScript(stdin: Writable, statements: readonly string[]): Promise<void> {
  let open = await writeTo(stdin, Buffer.from(settings.map((line) => `${line};\n`).join('')));
  for (const statement of statements) {
    if (!open) return;
    open = await writeTo(stdin, Buffer.from(`${statement};\n\\echo '\\\\.'\n`));
  }
  if (open) stdin.end();
}
