import type { BackupContext } from '../port.ts';
import { runChild } from '../../postgres/child.ts';
import type { Environment } from '../../postgres/connection/connection.ts';
import { entryKinds } from './metadata.ts';
import { databaseArgument, globalsPath } from '../../postgres/names.ts';
import { scrub, toolFailure, toolReason } from '../../postgres/connection/server-errors.ts';
import { childEnvironment, pinned, settingOf, type Session } from '../../postgres/connection/session.ts';
import { toolPath, type Tools } from '../../postgres/tools.ts';

export interface GlobalsOutcome {
  readonly path: string | null;
  /** The entry has the hashes of passwords. */
  readonly passwords: boolean;
  readonly warnings: readonly string[];
}

/** With each such backup it comes again: how it ends, one way or the other. */
const remedy =
  'a role with pg_read_all_data may; with globals: false in the source roles are left out, and nothing is said';

/** Stores roles and tablespaces as pg_dumpall writes them; without passwords where the server does not show these. */
export async function backupGlobals(
  session: Session,
  tools: Tools,
  env: Environment,
  context: BackupContext,
): Promise<GlobalsOutcome> {
  context.progress.phase('dumping roles and tablespaces');
  const warnings: string[] = [];
  for (const passwords of [true, false]) {
    const parameters = pinned(session);
    const result = await runChild({
      command: toolPath(tools, 'pg_dumpall'),
      args: [
        '--globals-only',
        '--no-password',
        `--database=${databaseArgument(parameters.database)}`,
        ...(passwords ? [] : ['--no-role-passwords']),
      ],
      env: childEnvironment(parameters, env),
      signal: context.signal,
    });
    if (result.code === 0) {
      const writer = context.openStream({ type: 'content', averageBytes: 32_768 });
      await writer.write(result.stdout);
      const stream = await writer.finish();
      await context.addEntry({ path: globalsPath, kind: entryKinds.globals, stream, meta: { passwords } });
      return { path: globalsPath, passwords, warnings };
    }
    const error = toolFailure('pg_dumpall', result, settingOf(parameters));
    if (error.errorName !== 'postgres_permission' && error.errorName !== 'postgres_tool_failed') throw error;
    const reason = scrub(toolReason(result.stderr), parameters.password);
    const what = passwords ? 'the passwords of roles' : 'roles and tablespaces';
    warnings.push(`${what} are not in this backup: ${reason} (${remedy})`);
  }
  return { path: null, passwords: false, warnings: warnings.slice(-1) };
}
