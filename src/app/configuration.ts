import { configJsonSchema } from '../contract/config-json-schema.ts';
import { describeOrigin, type Origin } from '../contract/config-layer.ts';
import { allSettings, anySourceName, variableOfSetting, type Setting } from '../contract/config-settings.ts';
import { configTemplate } from '../contract/config-template.ts';
import { Secret } from '../kernel/secret.ts';
import { redactWhole } from '../kernel/redact.ts';
import { compressionOf, type AppContext, type CommonOptions, type Outcome } from './compose.ts';
import { chooseDirectories } from './directories.ts';
import { loadSettings, type Settings } from './settings.ts';

export interface ShownSetting {
  readonly setting: string;
  /** Secrets are `***`; URLs are without their password. Null when there is none, not even one worked out at run time. */
  readonly value: unknown;
  /** Of a value that is a time or a size. */
  readonly unit: Setting['unit'];
  /** `default`, `holdfast.yaml:3:5`, the name of a variable, or a flag. */
  readonly from: string;
  readonly variable: string;
}

export interface ShowResult extends Outcome {
  readonly file: string | null;
  readonly dotenv: readonly string[];
  readonly settings: readonly ShownSetting[];
}

export interface ValidateResult extends Outcome {
  readonly file: string | null;
  readonly sources: readonly string[];
  readonly warnings: readonly string[];
}

/** Throws what is wrong with the configuration. */
export async function validateConfig(options: CommonOptions, context: AppContext): Promise<ValidateResult> {
  const settings = await load(options, context);
  const warnings = settings.unknownVariables.map(
    ({ variable, nearest }) =>
      `${variable} is set and stands for no setting${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
  );
  return {
    schema: 1,
    ok: true,
    file: settings.file,
    sources: Object.keys(settings.config.sources),
    warnings,
  };
}

/** Every setting as it holds now, and where it comes from. */
export async function showConfig(options: CommonOptions, context: AppContext): Promise<ShowResult> {
  const settings = await load(options, context);
  const effective = effectiveDefaults(settings, context.machine);
  const ofSources = allSettings.filter((setting) => isNamed(setting) && setting.path[0] === 'sources');
  const ofPlaces = allSettings.filter((setting) => isNamed(setting) && setting.path[0] === 'repositories');
  const shown = [
    ...allSettings
      .filter((setting) => !isNamed(setting))
      .map((setting) => {
        const found = show(settings, setting);
        return { ...found, value: found.value ?? effective.get(found.setting) ?? null };
      }),
    ...Object.keys(settings.config.repositories).flatMap((name) =>
      // What a place does not have of its own is as for all.
      ofPlaces
        .map((setting) => show(settings, setting, name))
        .filter(({ setting, from }) => from !== 'default' || !setting.slice(name.length + 14).includes('.')),
    ),
    ...Object.entries(settings.config.sources).flatMap(([name, source]) =>
      ofSources
        .filter(({ sourceType }) => sourceType === source.type)
        // Of a section within a source that it does not have, the general one counts.
        .filter(({ path: [, , key = '', ...rest] }) => rest.length === 0 || Object.hasOwn(source, key))
        .map((setting) => show(settings, setting, name)),
    ),
  ];
  return { schema: 1, ok: true, file: settings.file, dotenv: settings.dotenvFiles, settings: shown };
}

function isNamed({ path }: Setting): boolean {
  return path[1] === anySourceName;
}

/** Settings whose default is worked out when the program runs. */
function effectiveDefaults(
  { config, env }: Settings,
  { home }: AppContext['machine'],
): ReadonlyMap<string, unknown> {
  const { logFile, auditFile, cache, temp } = chooseDirectories(config, { env, home });
  const { codec, level } = compressionOf(config);
  return new Map<string, unknown>([
    ['log.file', logFile],
    ['audit.file', auditFile],
    ['cache_directory', cache],
    ['temp_directory', temp],
    ['compression.level', codec === 'none' ? null : level],
    ['timezone', new Intl.DateTimeFormat().resolvedOptions().timeZone],
  ]);
}

export function schemaOfConfig(): Record<string, unknown> {
  return configJsonSchema();
}

export function templateOfConfig(): string {
  return configTemplate();
}

function load(options: CommonOptions, { machine }: AppContext): Promise<Settings> {
  const flags =
    options.repo === undefined ? [] : [{ path: ['repository'], value: options.repo, flag: '--repo' }];
  return loadSettings({ configFile: options.config, flags }, machine);
}

function show(settings: Settings, setting: Setting, source?: string): ShownSetting {
  const path = setting.path.map((key) => (key === anySourceName ? (source ?? key) : key));
  let value: unknown = settings.config;
  // A section that nobody gave is not there.
  for (const key of path) value = (value as Readonly<Record<string, unknown>> | undefined)?.[key];
  const origin: Origin = settings.origins.exact(path) ?? { layer: 'default' };
  return {
    setting: path.join('.'),
    value: value === undefined ? null : value instanceof Secret ? hidden(value, setting) : value,
    unit: setting.unit,
    from: describeOrigin(origin),
    variable: variableOfSetting(setting, source),
  };
}

function hidden(value: Secret, { meta }: Setting): string {
  return meta.secret === 'url' ? redactWhole(value.reveal()) : '***';
}
