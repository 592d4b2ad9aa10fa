import type { Config } from '../contract/config.ts';
import { storageKinds, type StorageSettings } from '../contract/config-storage.ts';
import type { RepositoryPlaceConfig } from '../contract/config-repository.ts';
import { failure } from '../kernel/errors/failure.ts';
import type { Settings } from './settings.ts';

interface Configured {
  readonly config: Config;
  readonly settings: Settings;
}

/** A place that holds the repository, or is to hold a copy of it. */
export interface Place {
  /** As below `repositories`; the location where it has no name. */
  readonly name: string;
  readonly location: string;
  readonly config: RepositoryPlaceConfig | undefined;
}

/** The settings of storages for a location: its own ones where it is one of `repositories`. */
export function storageSettingsOf(config: Config, location: string): StorageSettings {
  const own = Object.values(config.repositories).find(({ url }) => url === location);
  if (own === undefined) return config;
  const settings = Object.keys(storageKinds).map((kind) => {
    const key = kind as keyof typeof storageKinds;
    return [key, own[key] ?? config[key]];
  });
  return Object.fromEntries(settings) as StorageSettings;
}

/** The place that a command works on. */
export function primaryPlace({ config }: Configured): Place {
  return placeAt(config, config.repository);
}

/** The other places: none when the command was told by a flag to work on one place. */
export function copyPlaces({ config, settings }: Configured): readonly Place[] {
  const layer = settings.origins.exact(['repository'])?.layer;
  if (layer === 'flag' || layer === 'code') return [];
  return Object.values(config.repositories)
    .filter(({ url }) => url !== config.repository)
    .map(({ url }) => placeAt(config, url));
}

/** The place that somebody names: one of `repositories`, or any location. `repository_unknown` for neither. */
export function namedPlace({ config }: Configured, text: string): Place {
  const own = config.repositories[text];
  if (own !== undefined) return placeAt(config, own.url);
  if (/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(text) && Object.keys(config.repositories).length > 0) {
    const known = Object.keys(config.repositories).join(', ');
    throw failure('repository_unknown', { name: text, known: `${known}; a directory is written ./${text}` });
  }
  return placeAt(config, text);
}

function placeAt({ repositories }: Config, location: string): Place {
  const found = Object.entries(repositories).find(([, { url }]) => url === location);
  return { name: found?.[0] ?? location, location, config: found?.[1] };
}

/** The same command, told to work on that place. */
export function appAt<A extends Configured>(app: A, { location }: Place): A {
  const settings = { ...app.settings, repositoryNamed: true };
  return { ...app, settings, config: { ...app.config, repository: location } };
}
