import { initFrom, type InitFromResult } from '../../app/init-from.ts';
import { init, type InitResult } from '../../app/init.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { plural } from '../../kernel/plural.ts';
import type { Face } from '../face.ts';
import { commonOptions, text } from './common.ts';
import { instant, table } from '../format.ts';
import type { Handler } from './handler.ts';

export const runInit: Handler = (face, _args, options) => {
  refuseMixture(options);
  const fromRepository = text(options, 'fromRepository');
  return fromRepository === undefined
    ? create(face, options)
    : bringBack(face, { ...options, fromRepository });
};

/** Options of making a repository and of bringing a configuration back from one. */
function refuseMixture(options: Readonly<Record<string, unknown>>): void {
  const brings = options['fromRepository'] !== undefined;
  const making = { repo: '--repo', label: '--label', createBucket: '--create-bucket' };
  const bringing = { host: '--host', out: '--out', force: '--force' };
  const wrong = Object.entries({
    ...(brings ? { ...making, recoveryKit: '--recovery-kit' } : bringing),
  }).find(([name]) => options[name] !== undefined);
  const flag = wrong?.[1] ?? (brings && options['encryption'] === false ? '--no-encryption' : undefined);
  if (flag === undefined) return;
  throw failure('usage', {
    reason: brings ? `--from-repository and ${flag} exclude each other` : `${flag} needs --from-repository`,
    suggestion: brings ? `leave ${flag} out` : `add --from-repository and the place, or leave ${flag} out`,
  });
}

type From = Readonly<Record<string, unknown>> & { readonly fromRepository: string };

const bringBack = (face: Face, options: From): Promise<number> =>
  face.run(
    (context) =>
      initFrom(
        {
          ...commonOptions(options),
          fromRepository: options.fromRepository,
          host: text(options, 'host'),
          out: text(options, 'out'),
          force: options['force'] === true,
        },
        context,
      ),
    (result) => renderFrom(face, result),
  );

const create = (face: Face, options: Readonly<Record<string, unknown>>): Promise<number> =>
  face.run(
    (context) =>
      init(
        {
          ...commonOptions(options),
          encryption: options['encryption'] !== false,
          label: text(options, 'label'),
          recoveryKit: text(options, 'recoveryKit'),
          createBucket: options['createBucket'] === true,
        },
        context,
      ),
    (result) => render(face, result),
  );

function render(face: Face, { created, repository, recovery_kit: kit }: InitResult): void {
  const { id, location, encrypted } = repository;
  face.say(
    `${created ? 'created' : 'already there'}: repository ${id} in ${location}, ${encrypted ? 'encrypted' : 'not encrypted'}\n`,
  );
  if (kit !== null) face.say(`recovery kit: ${kit}\n  print it or keep it away from this machine\n`);
  if (created) face.say('next: holdfast backup\n');
}

function renderFrom(face: Face, result: InitFromResult): void {
  const { configuration, configurations, written, variables, files, sources } = result;
  const rows = configurations.map((one) => [
    one.object === configuration.object ? '*' : '',
    instant(one.saved_at),
    `${one.user}@${one.host}`,
    one.file ?? '(environment)',
  ]);
  face.product(table(['', 'SAVED', 'BY', 'FILE'], rows));
  face.say(
    `\nwrote ${written.config}: the configuration of ${configuration.host} as of ${instant(configuration.saved_at)}\n`,
  );
  face.say(`wrote ${written.env}: what it needs beside, to be copied to .env and filled in\n`);
  const missing = variables.filter(({ set }) => !set);
  const names = missing.map(({ name }) => name).join(', ');
  const lines = [
    ...(missing.length === 0 ? [] : [`set ${plural(missing.length, 'variable')}: ${names}`]),
    ...files.map(({ path, setting }) => `put ${path} in its place (${setting})`),
    `look whether repository: in ${written.config} is still right; these backups are in ${result.repository.location}`,
    'holdfast doctor; holdfast list',
    ...sources.map(({ restore }) => restore),
  ];
  face.say(`\nnext:\n${lines.map((line) => `  ${line}\n`).join('')}`);
}
