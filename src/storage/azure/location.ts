import { failure } from '../../kernel/errors/failure.ts';

export interface AzureLocation {
  readonly scheme: 'azure';
  readonly container: string;
  /** What every object's name begins with: '' or `folder/…/`. */
  readonly prefix: string;
}

/** What the service allows: 3 to 63 of a-z, 0-9 and single hyphens inside; and two special ones. */
const containerName = /^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$|^\$root$/;

/** Reads `azure://container/prefix`; everything is taken as it is: `%` means nothing. Throws `storage_url`. */
export function parseAzureLocation(location: string, shown: string): AzureLocation {
  const wrong = (reason: string): Error => failure('storage_url', { location: shown, reason });
  const rest = /^azure:\/\/(.*)$/is.exec(location)?.[1];
  if (rest === undefined) throw wrong('it is not of the form azure://container/prefix');
  if (/[?#]/.test(rest)) throw wrong('? and # have no meaning here; SAS tokens belong into azure.sas_token');
  if (/[\p{Cc}\\]/u.test(rest)) throw wrong('it holds a control character or a backslash');
  const [container = '', ...folders] = rest.replace(/\/$/, '').split('/');
  if (!containerName.test(container))
    throw wrong('its first part is no name of a container: 3 to 63 of a-z, 0-9 and single hyphens');
  // The service drops dots at the end of a part.
  if (folders.some((folder) => folder === '' || folder.endsWith('.')))
    throw wrong('a part of its path is empty or ends with a dot');
  return { scheme: 'azure', container, prefix: folders.map((folder) => `${folder}/`).join('') };
}
