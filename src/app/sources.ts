import type { SourceConfig } from '../contract/config-source.ts';
import { failure } from '../kernel/errors/failure.ts';
import type { BackupSource } from '../operations/contract.ts';
import { adHocSource, notPostgres } from './ad-hoc-source.ts';
import type { App } from './compose.ts';
import { kindOf } from './kinds/find.ts';
import { unknownSource } from './unknown-source.ts';

/** A source to back up, with its settings. */
export interface ChosenSource {
  readonly name: string;
  readonly config: SourceConfig;
}

/**
 * The sources meant: those named, or all, or the one of `--from`.
 * `source_unknown`, `source_none`, `source_url`, `not_in_this_version`.
 */
export function chooseSources(app: App, names: readonly string[], from: string | undefined): ChosenSource[] {
  if (from !== undefined) return [adHocSource(app, from)];
  const all = app.config.sources;
  if (Object.keys(all).length === 0) throw nothingConfigured(app);
  if (names.length === 0) return Object.entries(all).map(([name, config]) => ({ name, config }));
  return [...new Set(names)].map((name) => {
    const config = Object.hasOwn(all, name) ? all[name] : undefined;
    if (config === undefined) throw unknownSource(name, Object.keys(all));
    return { name, config };
  });
}

/** Prepares a source without touching it. Throws what is wrong with its settings. */
export async function prepareSource(app: App, { name, config }: ChosenSource): Promise<BackupSource> {
  return await (await kindOf(config.type)).prepare(app, name, config);
}

function nothingConfigured(app: App): Error {
  const url = app.env['DATABASE_URL'];
  return url === undefined || url === '' ? failure('source_none', {}) : notPostgres(url, app);
}
