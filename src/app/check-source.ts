import { asFailure, type HoldfastError } from '../kernel/errors/failure.ts';
import type { Finding } from '../sources/port.ts';
import { describeHost } from '../sources/postgres-logical/connection.ts';
import { openSession } from '../sources/postgres-logical/session.ts';
import { findTools } from '../sources/postgres-logical/tools.ts';
import type { App } from './compose.ts';
import { connectionOf } from './postgres-source.ts';
import type { ChosenSource } from './sources.ts';

export interface SourceCheck {
  readonly findings: readonly Finding[];
  /** The first error, when the source could not be backed up as it is. */
  readonly error: HoldfastError | undefined;
}

/** Connects to a source and looks whether it could be backed up. Nothing is thrown but the signal's reason. */
export async function checkSource(app: App, { name, config }: ChosenSource): Promise<SourceCheck> {
  const findings: Finding[] = [];
  const check = `source ${name}`;
  try {
    const connection = await connectionOf(name, config, app.env);
    await using session = await openSession(connection, app.signal);
    findings.push({
      check,
      level: 'ok',
      message: `PostgreSQL ${session.serverVersion} answers at ${describeHost(session.host)}`,
    });
    const major = Math.floor(session.serverVersionNumber / 10_000);
    const search = { env: app.env, signal: app.signal, directory: config.client_bin };
    for (const tool of ['pg_dump', 'pg_restore'] as const) {
      const tools = await findTools(search, tool, major, `a server of version ${session.serverVersion}`);
      findings.push({
        check,
        level: 'ok',
        message: `${tool} ${tools.version} in ${tools.directory} serves it`,
      });
    }
    return { findings, error: undefined };
  } catch (error) {
    app.signal.throwIfAborted();
    const known = asFailure(error);
    findings.push({ check, level: 'error', message: known.message, mend: known.hint, code: known.code });
    return { findings, error: known };
  }
}
