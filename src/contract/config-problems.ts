import type { z } from 'zod';
import { failure, type HoldfastError } from '../kernel/errors/failure.ts';
import { nearest } from '../kernel/nearest.ts';
import { laterKeys } from './config.ts';
import { describeOrigin, type Origins } from './config-layer.ts';
import { keysUnder, settingAt, sourceVariable } from './config-settings.ts';
import { guessSourceType, sourceTypesText } from './config-source-guess.ts';

type Issue = z.core.$ZodIssue;

const elsewhere = 'see docs/configuration.md, or run holdfast config template';

/** The schema's complaints as one coded error: the first, with every other one in its details. */
export function configFailure(issues: readonly Issue[], values: unknown, origins: Origins): HoldfastError {
  const misspelt = new Set(issues.flatMap((issue) => misspeltSettings(issue, values)));
  const errors = issues
    .filter(({ path }) => !(misspelt.has(path.join('.')) && valueAt(values, path.map(String)) === undefined))
    .flatMap((issue) => describeIssue(issue, values, origins));
  const [first] = errors;
  if (first === undefined) throw new Error('the schema refused without an issue');
  if (errors.length > 1) Object.assign(first.details, { problems: errors.map((error) => error.message) });
  return first;
}

function describeIssue(issue: Issue, values: unknown, origins: Origins): HoldfastError[] {
  const path = issue.path.map(String);
  const place = describeOrigin(origins.of(path));
  const setting = path.join('.');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => unknownKey(path, key, values, origins));
  if (issue.code === 'custom' && typeof issue.params?.['contradicts'] === 'string') {
    const first = [...path.slice(0, -1), issue.params['contradicts']].join('.');
    return [failure('config_contradiction', { place, first, second: setting })];
  }
  const value = valueAt(values, path);
  if (issue.code === 'invalid_union' && path.at(-1) === 'type')
    return [wrongType(path, values, origins, place)];
  const problem = describeProblem(issue, value);
  return [failure('config_invalid', { place, setting, problem, suggestion: elsewhere })];
}

/** The settings that unknown keys are nearest to: that one of them is missing says the same once more. */
function misspeltSettings(issue: Issue, values: unknown): string[] {
  if (issue.code !== 'unrecognized_keys') return [];
  const path = issue.path.map(String);
  return issue.keys.flatMap((key) => {
    const near = nearest(key, knownUnder(path, values));
    return near === undefined ? [] : [[...path, near].join('.')];
  });
}

function knownUnder(path: readonly string[], values: unknown): readonly string[] {
  const type = typeOfSource(path, values);
  return keysUnder(path, typeof type === 'string' ? type : undefined);
}

function typeOfSource(path: readonly string[], values: unknown): unknown {
  return path[0] === 'sources' ? valueAt(values, [...path.slice(0, 2), 'type']) : undefined;
}

function unknownKey(path: readonly string[], key: string, values: unknown, origins: Origins): HoldfastError {
  const full = [...path, key];
  const place = describeOrigin(origins.of(full));
  if (path.length === 0 && laterKeys.includes(key)) return failure('config_later', { place, what: key });
  const known = knownUnder(path, values);
  const near = nearest(key, known);
  const suggestion =
    near === undefined
      ? `known here: ${known.join(', ')}`
      : `did you mean ${[...path, near].join('.')}? ${listNote(full, near, values)}Known here: ${known.join(', ')}`;
  return failure('config_unknown_key', { place, key: full.join('.'), suggestion });
}

/** Whoever writes path: /srv will next have to know that paths is a list. */
function listNote(full: readonly string[], near: string, values: unknown): string {
  const type = typeOfSource(full, values);
  const setting = settingAt([...full.slice(0, -1), near], typeof type === 'string' ? type : undefined);
  if (setting?.forms.list !== true || Array.isArray(valueAt(values, full))) return '';
  return `It is a list: ${near}: ${setting.meta.example ?? '[]'}. `;
}

function wrongType(path: readonly string[], values: unknown, origins: Origins, place: string): HoldfastError {
  const value = valueAt(values, path);
  const above = path.slice(0, -1);
  const source = valueAt(values, above) as Readonly<Record<string, unknown>>;
  const guess = guessSourceType(source);
  const byVariable = origins.of(above).layer === 'environment';
  const write = byVariable ? `set ${sourceVariable(above.at(-1) ?? '', 'type')}=` : 'write type: ';
  const suggestion =
    guess === undefined
      ? `${write}${sourceTypesText}; ${elsewhere}`
      : `did you mean ${guess}? ${write[0]?.toUpperCase()}${write.slice(1)}${guess}`;
  const problem = `${value === undefined ? 'is missing; it ' : ''}must be ${sourceTypesText}`;
  return failure('config_invalid', { place, setting: path.join('.'), problem, suggestion });
}

function describeProblem(issue: Issue, value: unknown): string {
  if (value === null) return 'has no value';
  switch (issue.code) {
    case 'invalid_key':
      return issue.issues[0]?.message ?? issue.message;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return issue.origin === 'number' ? `must be at least ${issue.minimum}` : issue.message;
    case 'too_big':
      return issue.origin === 'number' ? `must be at most ${issue.maximum}` : issue.message;
    case 'invalid_type':
      return plain(issue.message);
    default:
      return plain(issue.message);
  }
}

const inYaml: Readonly<Record<string, string>> = {
  object: 'a mapping of settings',
  record: 'a mapping, with a name and a colon before each value',
  array: 'a list',
};

function plain(message: string): string {
  return message.replace(
    /^Invalid input: expected (\w+), received.*$/,
    (_, type: string) => `must be ${inYaml[type] ?? `of type ${type}`}`,
  );
}

function valueAt(values: unknown, path: readonly string[]): unknown {
  let at = values;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[key];
  }
  return at;
}
