import { allSettings } from '../contract/config-settings.ts';
import type { App } from './compose.ts';

/** What of a storage's settings says where it is. */
const reachKeys: readonly string[] = ['endpoint', 'region', 'path_style', 'ca_file', 'account', 'project'];
const reachVariables: readonly string[] = [
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_S3',
  'AZURE_STORAGE_ACCOUNT',
];

/** How a place is reached, as far as the settings or the environment say so and it is no secret. */
export function reachOf(
  { settings, machine }: Pick<App, 'settings' | 'machine'>,
  location: string,
): [string, string][] {
  const scheme = /^([a-z0-9]+):/.exec(location)?.[1];
  const found: [string, string][] = [];
  for (const { path, env, meta } of allSettings) {
    const [section, key = ''] = path;
    if (section !== scheme || meta.secret !== undefined || !reachKeys.includes(key)) continue;
    const sections: Readonly<Record<string, unknown>> = settings.config;
    const value = (sections[scheme ?? ''] as Readonly<Record<string, unknown>> | undefined)?.[key];
    const layer = settings.origins.exact(path)?.layer;
    if (layer === undefined || layer === 'default' || !['string', 'boolean'].includes(typeof value)) continue;
    found.push([env, String(value)]);
  }
  const prefix = scheme === 's3' ? 'AWS_' : scheme === 'azure' ? 'AZURE_' : undefined;
  for (const name of reachVariables) {
    const value = machine.env[name];
    if (prefix !== undefined && name.startsWith(prefix) && value !== undefined && value !== '')
      found.push([name, value]);
  }
  return found;
}
