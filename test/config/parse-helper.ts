import type { PostgresSourceConfig } from '../../src/contract/config-source-postgres.ts';
import { parseConfig, type FlagSetting, type ParsedConfig } from '../../src/contract/config-parse.ts';
import { isFailure, type HoldfastError } from '../../src/kernel/errors/failure.ts';

export function parse(
  text: string | null,
  env: Record<string, string> = {},
  flags: FlagSetting[] = [],
): ParsedConfig {
  return parseConfig({
    file: text === null ? null : { name: 'holdfast.yaml', text, directory: '/etc/holdfast' },
    variables: new Map(Object.entries(env).map(([name, value]) => [name, { value, file: undefined }])),
    flags,
    cwd: '/work',
    home: '/home/me',
  });
}

/** A source of type postgres, of that name. */
export function postgresSource({ config }: ParsedConfig, name: string): PostgresSourceConfig | undefined {
  const source = config.sources[name];
  return source?.type === 'postgres' ? source : undefined;
}

/** What parsing throws; fails when it does not throw a coded error. */
export function refusal(
  text: string | null,
  env: Record<string, string> = {},
  flags: FlagSetting[] = [],
): HoldfastError {
  try {
    parse(text, env, flags);
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
