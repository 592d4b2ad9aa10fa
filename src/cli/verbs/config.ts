import { schemaOfConfig, showConfig, templateOfConfig, validateConfig } from '../../app/configuration.ts';
import { asWritten, table } from '../format.ts';
import { commonOptions } from './common.ts';
import type { Handler } from './handler.ts';

export const runConfigValidate: Handler = (face, _args, options) =>
  face.run(
    (context) => validateConfig(commonOptions(options), context),
    ({ file, sources, warnings }) => {
      for (const message of warnings) face.notice({ level: 'warning', message });
      const named = sources.length === 0 ? 'no sources' : `sources: ${sources.join(', ')}`;
      face.say(`${file ?? 'the environment (there is no file)'} is valid; ${named}\n`);
    },
  );

export const runConfigShow: Handler = (face, _args, options) =>
  face.run(
    (context) => showConfig(commonOptions(options), context),
    ({ settings }) => {
      const rows = settings.map(({ setting, value, unit, from }) => [
        setting,
        value === null
          ? '-'
          : typeof value === 'number' && unit !== null
            ? asWritten(value, unit)
            : plain(value),
        from,
      ]);
      face.product(table(['SETTING', 'VALUE', 'FROM'], rows));
    },
  );

export const runConfigSchema: Handler = (face) =>
  face.run(
    async () => ({ schema: 1, ok: true, json_schema: schemaOfConfig() }) as const,
    (result) => face.product(`${JSON.stringify(result.json_schema, null, 2)}\n`),
  );

export const runConfigTemplate: Handler = (face) =>
  face.run(
    async () => ({ schema: 1, ok: true, template: templateOfConfig() }) as const,
    (result) => face.product(result.template),
  );

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
