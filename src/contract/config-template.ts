import { stringify } from 'yaml';
import { allSettings, anySourceName, namedSections, type Setting } from './config-settings.ts';

const width = 100;

/**
 * A configuration file with every setting, each with its comment, variable and default. Settings are commented out, so
 * that the file as it comes means the defaults; taking away one `#` sets one.
 */
export function configTemplate(): string {
  const lines: string[] = [
    '# Configuration of Holdfast. Take away a # to set a value; everything left out has its default.',
    '# ${VAR} and ${VAR:-default} stand for environment variables, $$ for a dollar sign; .env beside this file is read.',
    '# Command line flags win over environment variables, those over this file.',
    '# holdfast config validate checks this file, holdfast config show tells where each value comes from.',
  ];
  let section: readonly string[] = [];
  const ownSections: string[] = [];
  for (const setting of allSettings) {
    // What a source has in the place of a section of its own name is told there.
    if (setting.path[1] === anySourceName && setting.path.length > 3) {
      const [section = '', , key = ''] = setting.path;
      const own = `${section} ${setting.sourceType} ${key}`;
      if (ownSections.at(-1) !== own) lines.push(...ownSection(setting, key));
      ownSections.push(own);
      continue;
    }
    const above = setting.path.slice(0, -1).map((key) => (key === anySourceName ? nameFor(setting) : key));
    if (above.join('.') !== section.join('.')) lines.push(...openSection(above, section));
    section = above;
    lines.push('', ...settingLines(setting));
  }
  return `${lines.join('\n')}\n`;
}

/** A section below a name: one line for all of it. */
function ownSection({ env, path: [section] }: Setting, key: string): string[] {
  const isRetention = key === 'retention';
  const scope = section === 'sources' ? 'this source' : 'this repository';
  const how = isRetention ? 'in the place of all of those' : 'over those';
  return [
    '',
    `    # Settings of ${key} (see below) for ${scope} alone, ${how}.`,
    `    # Variables: ${env} and so on.`,
    `    #${key}: ${isRetention ? '{ keep_daily: 14, keep_monthly: 6 }' : '{}'}`,
  ];
}

const exampleNames: Readonly<Record<string, string>> = {
  postgres: 'shop',
  'postgres-cluster': 'main',
  sqlite: 'agents',
  files: 'uploads',
};

function nameFor({ sourceType = '', path: [section] }: Setting): string {
  return section === 'repositories' ? 'offsite' : (exampleNames[sourceType] ?? sourceType);
}

function openSection(above: readonly string[], before: readonly string[]): string[] {
  const lines: string[] = [];
  above.forEach((key, depth) => {
    if (before[depth] === key) return;
    const indent = '  '.repeat(depth);
    // A section may be empty, a source may not.
    if (namedSections.includes(above[0] ?? '') && depth === 1)
      lines.push(
        '',
        above[0] === 'sources'
          ? `${indent}# One block like this for each source of this type, under a name of your choice.`
          : `${indent}# One block like this for each place, under a name of your choice: first the primary, then copies.`,
        `${indent}#${key}:`,
      );
    else lines.push('', `${indent}${key}:`);
  });
  return lines;
}

function settingLines(setting: Setting): string[] {
  const indent = '  '.repeat(setting.path.length - 1);
  const { meta, defaultValue, choices } = setting;
  const facts = [
    ...(choices === undefined ? [] : [`One of: ${choices.join(', ')}`]),
    `Default: ${describeDefault(setting)}`,
    `Variable: ${setting.env}`,
  ];
  const key = setting.path.at(-1) ?? '';
  const value =
    defaultValue === undefined || isEmpty(defaultValue) ? exampleText(meta.example) : inline(defaultValue);
  return [
    ...wrap(`${meta.description}.`, width - indent.length - 2).map((line) => `${indent}# ${line}`),
    ...facts.map((fact) => `${indent}# ${fact}.`),
    `${indent}#${key}: ${value}`,
  ];
}

/** The default as a reader would write it, or in words. */
export function describeDefault({ meta, defaultValue, required }: Setting): string {
  if (meta.defaultText !== undefined) return meta.defaultText;
  if (required) return 'none, it must be given';
  if (defaultValue === undefined) return 'none';
  return isEmpty(defaultValue) ? 'none' : inline(defaultValue);
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function exampleText(example: string | undefined): string {
  if (example === undefined) return '';
  // Flow collections and numbers stand as they are; text that YAML would trip over is quoted.
  return /^[[{]|^\d+(?:\.\d+)?$|^\$\{/.test(example) ? quoteReference(example) : inline(example);
}

function quoteReference(example: string): string {
  return example.startsWith('${') ? `"${example}"` : example;
}

function inline(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < columns)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
