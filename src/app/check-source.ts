import { catalogue } from '../kernel/errors/catalogue.ts';
import type { ErrorEntry } from '../kernel/errors/define.ts';
import { asFailure } from '../kernel/errors/failure.ts';
import type { Finding } from '../sources/port.ts';
import { checkPostgres } from '../sources/postgres-logical/check.ts';
import type { App } from './compose.ts';
import { connectionOf, wantedDatabases } from './postgres-source.ts';
import type { ChosenSource } from './sources.ts';

/** Connects to a source and looks whether it could be backed up. Nothing is thrown but the signal's reason. */
export async function checkSource(app: App, { name, config }: ChosenSource): Promise<readonly Finding[]> {
  try {
    const connection = await connectionOf(name, config, app.env);
    if (connection.password !== undefined) app.secrets.push(connection.password);
    const options = {
      connection,
      databases: wantedDatabases(config),
      env: app.env,
      toolsDirectory: config.client_bin,
    };
    const findings = await checkPostgres(options, app.signal);
    return findings.map((finding) => ({ ...finding, check: `${name}: ${finding.check}` }));
  } catch (error) {
    app.signal.throwIfAborted();
    const { message, hint, code } = asFailure(error);
    return [{ check: name, level: 'error', message, mend: hint, code }];
  }
}

/** A finding that stands for a coded error, as that error's JSON; undefined for one that has no code. */
export function errorOfFinding({ code, message, mend }: Finding): Record<string, unknown> | undefined {
  const [name, entry] =
    Object.entries<ErrorEntry>(catalogue).find(([, { code: known }]) => known === code) ?? [];
  if (name === undefined || entry === undefined) return undefined;
  const { kind, retryable } = entry;
  return { code, name, kind, message, hint: mend ?? '', retryable };
}
