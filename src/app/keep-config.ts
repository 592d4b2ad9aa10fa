import { allSettings, anySourceName, namedSections } from '../contract/config-settings.ts';
import { reasonOf } from '../kernel/errors/failure.ts';
import { redactWhole } from '../kernel/redact.ts';
import { Secret } from '../kernel/secret.ts';
import type { ConfigContents } from '../repository/kept-config.ts';
import type { Repository } from '../repository/repository.ts';
import type { App } from './compose.ts';

/** Sections of which the environment may hold what cannot be done without on another machine. */
const keptSections: readonly string[] = [
  'repository',
  'repositories',
  'sources',
  'encryption',
  'retention',
  'prune',
  'verify',
  's3',
  'sftp',
  'azure',
  'gs',
  'gdrive',
];

/** What other programs define: only that it was set is kept. */
const othersVariables: readonly string[] = [
  'DATABASE_URL',
  'PGPASSWORD',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_PROFILE',
  'AZURE_STORAGE_ACCOUNT',
  'AZURE_STORAGE_KEY',
  'AZURE_STORAGE_SAS_TOKEN',
  'AZURE_STORAGE_CONNECTION_STRING',
  'GOOGLE_APPLICATION_CREDENTIALS',
];

/**
 * Keeps the configuration, without its secrets, in the repository, where the newest of this host is another one. Not when a
 * flag or the calling program named the place: that says nothing of how backups are usually made; and agents cannot. Never
 * rejects: the backups are there.
 */
export async function keepConfiguration(app: App, repository: Repository): Promise<void> {
  const layer = app.settings.origins.exact(['repository'])?.layer;
  if (layer === 'flag' || layer === 'code' || repository.isAgent) return;
  const { host, user, clock } = app.machine;
  try {
    const contents = await contentsOf(app);
    if (contents === undefined) return;
    const { keepConfig } = await import('../repository/kept-config.ts');
    const kept = await keepConfig(repository, contents, { host, user, nowMs: clock.now() }, app.signal);
    if (kept !== undefined) app.log.info('the configuration is kept in the repository', { object: kept });
  } catch (error) {
    const reason = reasonOf(error);
    app.log.warn('the configuration is not kept in the repository', { reason });
    if (app.signal.aborted) return;
    const message = `the configuration is not kept in the repository: ${reason}`;
    app.observer.notice({ level: 'warning', message, recorded: true });
  }
}

async function contentsOf(app: App): Promise<ConfigContents | undefined> {
  const { file, text, env } = app.settings;
  const environment = environmentOf(env);
  if (text === null) return environment.length === 0 ? undefined : { file, text: '', environment };
  const { withoutSecrets } = await import('../contract/config-without-secrets.ts');
  const secrets = [...app.secrets, ...secretsIn(app.config)];
  return { file, text: withoutSecrets(text, secrets), environment };
}

/** Settings that variables gave, and the names of those that hold secrets. */
export function environmentOf(env: App['env']): ConfigContents['environment'] {
  const found: { name: string; value: string | null }[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || value === '') continue;
    if (othersVariables.includes(name)) found.push({ name, value: null });
    const setting = settingOfVariable(name);
    if (setting === undefined) continue;
    const isSecret = setting.meta.secret !== undefined || redactWhole(value) !== value;
    found.push({ name, value: isSecret ? null : value });
  }
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Where several could be meant, as by `…_SHOP_URL_FILE`, the one with the longest key is. */
function settingOfVariable(name: string) {
  const [setting] = allSettings
    .filter(({ path: [section = '', named, ...key], env }) => {
      if (!keptSections.includes(section)) return false;
      if (named !== anySourceName || !namedSections.includes(section)) return env === name;
      const [start, end] = [`HOLDFAST_${section.toUpperCase()}_`, `_${key.join('_').toUpperCase()}`];
      return name.startsWith(start) && name.endsWith(end) && name.length > start.length + end.length;
    })
    .toSorted((a, b) => b.path.join('_').length - a.path.join('_').length);
  return setting;
}

function* secretsIn(value: unknown): Generator<Secret> {
  if (value instanceof Secret) yield value;
  else if (typeof value === 'object' && value !== null)
    for (const item of Object.values(value)) yield* secretsIn(item);
}
