import { addKey, changeKey, listKeys, removeKey, type KeysResult } from '../../app/keys.ts';
import type { Face } from '../face.ts';
import { instant, table } from '../format.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

type Options = Readonly<Record<string, unknown>>;

export const runKeyList: Handler = (face, _args, options) =>
  face.run(
    (context) => listKeys(commonOptions(options), context),
    (result) => render(face, result),
  );

export const runKeyAdd: Handler = (face, _args, options) =>
  face.run(
    (context) => addKey(newKey(options), context),
    (result) => tell(face, result, 'added'),
  );

export const runKeyChange: Handler = (face, _args, options) =>
  face.run(
    (context) => changeKey(newKey(options), context),
    (result) => tell(face, result, 'is now in use:'),
  );

export const runKeyRemove: Handler = (face, [id = ''], options) =>
  face.run(
    (context) => removeKey({ ...commonOptions(options), id, yes: options['yes'] === true }, context),
    (result) => tell(face, result, 'removed'),
  );

function newKey(options: Options) {
  return {
    ...commonOptions(options),
    label: text(options, 'label'),
    newPassphraseFile: text(options, 'newPassphraseFile'),
  };
}

function tell(face: Face, result: KeysResult, what: string): void {
  face.say(`key ${result.key?.id ?? ''} ${what}\n`);
  render(face, result);
}

function render(face: Face, { keys, repository }: KeysResult): void {
  if (keys.length === 0) {
    face.say(`the repository in ${repository.location} has no keys: it is not encrypted\n`);
    return;
  }
  const rows = keys.map((key) => [
    key.id,
    key.label,
    instant(key.created_at),
    `${key.user}@${key.host}`,
    key.current ? 'in use' : '',
  ]);
  face.product(table(['ID', 'LABEL', 'CREATED', 'BY', ''], rows));
}
