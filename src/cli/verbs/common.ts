import type { CommonOptions } from '../../app/compose.ts';

type Options = Readonly<Record<string, unknown>>;

/** The options every use case takes, out of what was typed. */
export function commonOptions(options: Options): CommonOptions {
  return {
    config: text(options, 'config'),
    repo: text(options, 'repo'),
    logLevel: text(options, 'logLevel'),
    jobs: number(options, 'jobs'),
    quiet: options['quiet'] === true,
  };
}

export function text(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

export function number(options: Options, name: string): number | undefined {
  const value = options[name];
  return typeof value === 'number' ? value : undefined;
}

export function tags(options: Options): Readonly<Record<string, string>> | undefined {
  return options['tag'] as Readonly<Record<string, string>> | undefined;
}
