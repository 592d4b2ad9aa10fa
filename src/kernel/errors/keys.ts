import { defineErrors } from './define.ts';

export const keyErrors = defineErrors({
  key_wrong: {
    code: 'HF-3101',
    kind: 'wrong_key',
    retryable: false,
    message: 'the passphrase opens no key of {location}, which has {count}',
    hint: 'check HOLDFAST_PASSPHRASE (or the passphrase file or command), and that it is the right repository',
    explain: 'Every key of the repository was tried with this passphrase. Nothing was read or written.',
  },
  key_needed: {
    code: 'HF-3102',
    kind: 'wrong_key',
    retryable: false,
    message: 'the repository at {location} is encrypted and no passphrase was given{looked}',
    hint: 'set HOLDFAST_PASSPHRASE, HOLDFAST_PASSPHRASE_FILE or HOLDFAST_PASSPHRASE_COMMAND{elsewhere}',
    explain:
      'An encrypted repository opens only with one of its passphrases. Without one, a key file is looked for, which init makes when it is given none: in `$XDG_CONFIG_HOME/holdfast/keys`, else in `~/.config/holdfast/keys` of the user who ran it. Another user, as with sudo, cron or a service, and another HOME have another such directory.',
  },
  key_unknown: {
    code: 'HF-3103',
    kind: 'not_found',
    retryable: false,
    message: 'the repository has no key {id}',
    hint: 'see the keys with: holdfast key list',
    explain: 'No key of that id, or the id is ambiguous.',
  },
  key_last: {
    code: 'HF-3104',
    kind: 'refused',
    retryable: false,
    message: 'key {id} is the last one: without it nobody could open the repository',
    hint: 'add another first with: holdfast key add',
    explain: 'The last key of a repository cannot be removed.',
  },
  key_damaged: {
    code: 'HF-3105',
    kind: 'integrity',
    retryable: false,
    message: 'key object {name} is damaged: {reason}',
    hint: 'put back this object from a copy of the repository; or open it with another passphrase, move the object away, and make a new key with holdfast key add',
    explain: 'The key object does not match its own check value. Other keys are not affected.',
  },
  key_none: {
    code: 'HF-3106',
    kind: 'integrity',
    retryable: false,
    message: 'the repository at {location} is encrypted and has no key object left',
    hint: 'put back keys/ from a copy of the repository',
    explain: 'Without any key object the master key cannot be had, whatever the passphrase.',
  },
  key_weak: {
    code: 'HF-3107',
    kind: 'usage',
    retryable: false,
    message: 'that passphrase cannot be used: {reason}',
    hint: 'use at least 8 characters; a file of random ones is best: openssl rand -base64 32',
    explain: 'Empty and very short passphrases are refused, since anyone could guess them.',
  },
  key_unencrypted: {
    code: 'HF-3108',
    kind: 'refused',
    retryable: false,
    message: 'the repository at {location} is not encrypted and has no keys',
    hint: 'create an encrypted one in another place with holdfast init --repo PLACE, and back up into that',
    explain: 'Keys belong to encrypted repositories only.',
  },
  encryption_expected: {
    code: 'HF-3109',
    kind: 'integrity',
    retryable: false,
    message: 'the repository at {location} is not encrypted, but {reason}',
    hint: 'find out whether somebody replaced it (its id is in the recovery kit); if it is right, set encryption.enabled: false',
    explain:
      'A repository that is not encrypted stands where an encrypted one is expected: whoever can write to the place may have put it there to get the next backup in clear. Nothing was read from it or written to it.',
  },
  key_duplicate: {
    code: 'HF-3110',
    kind: 'conflict',
    retryable: false,
    message: 'that passphrase opens the repository at {location} already',
    hint: 'give another one; to see the keys: holdfast key list',
    explain:
      'Two keys of one passphrase would look like two ways in, and removing one would withdraw nothing. Nothing was changed.',
  },
  agent_cannot: {
    code: 'HF-3111',
    kind: 'refused',
    retryable: false,
    message: 'the credentials of an agent cannot {what}',
    hint: 'do it where the passphrase is; or, to use the passphrase here once: HOLDFAST_PASSPHRASE_FILE=FILE before the command',
    explain:
      'With `encryption.agent_file` Holdfast can add backups and WAL to a repository, and can read and remove nothing, ' +
      'not what it has added itself. That is the point: whoever takes this machine over can do no more. A passphrase ' +
      'that is given by a variable takes the place of the credentials.',
  },
  agent_file_wrong: {
    code: 'HF-3112',
    kind: 'wrong_key',
    retryable: false,
    message: 'the credentials in {path} cannot be used for the repository at {location}: {reason}',
    hint: 'make new ones where the passphrase is: holdfast key agent --out FILE; and put them at {path}',
    explain:
      'The credentials of an agent belong to one repository, and name it and its `holdfast.json` exactly: nobody can put ' +
      'another repository in its place to get the next backup. Nothing was written.',
  },
  agent_wal_unknown: {
    code: 'HF-3113',
    kind: 'conflict',
    retryable: false,
    message: 'WAL is stored as {name} already, and an agent cannot read whether it is the same',
    hint: 'run the same command once with the passphrase, which compares: HOLDFAST_PASSPHRASE_FILE=FILE holdfast wal push FILE',
    explain:
      'An agent remembers on its machine what it has stored. Of what is stored already, and was not stored from here (or ' +
      'what is remembered was lost), it can only see the size, and that differs. Another server may have written it. ' +
      'Nothing was changed.',
  },
  agent_out_exists: {
    code: 'HF-3114',
    kind: 'refused',
    retryable: false,
    message: 'the credentials cannot be written to {path}: {reason}',
    hint: 'name a file that is not there yet, in a directory that you can write to',
    explain: 'Credentials are written into a new file that only its owner can read. Nothing was changed.',
  },
  backup_rolled_back: {
    code: 'HF-3115',
    kind: 'integrity',
    retryable: false,
    message:
      'backup {id}, which was there before, is gone, and no record says that it was forgotten (remembered in {from})',
    hint: 'find out who has put the repository back to an earlier state, or removed its newest backups; a copy or older versions in the bucket may have them. If it was you: rm {from}',
    explain:
      'Each machine remembers, outside of the repository, the newest backups that it has written or verified. The ' +
      'history inside a repository is whole in itself when all that is newer than some moment is taken away; what is ' +
      'remembered elsewhere still tells.',
  },
  backup_replaced: {
    code: 'HF-3116',
    kind: 'integrity',
    retryable: false,
    message: 'the manifest of backup {id} is another than it was before (remembered in {from})',
    hint: 'do not trust this backup; find out who has written to the repository with its keys',
    explain:
      'The manifest opens and is well formed, so somebody who has the keys has made it, in place of the one that was there ' +
      'when this machine saw it last.',
  },
  history_file_wrong: {
    code: 'HF-3117',
    kind: 'usage',
    retryable: false,
    message: 'the history cannot be compared with {path}: {reason}',
    hint: 'give a file that holdfast verify --remember FILE has written for this repository',
    explain: 'With `--since-file` the backups that are there are compared with those that a file remembers.',
  },
  history_file_failed: {
    code: 'HF-3118',
    kind: 'failed',
    retryable: false,
    message: 'what was seen of the history cannot be written to {path}: {reason}',
    hint: 'name a file in a directory that you can write to',
    explain: 'The repository was verified; only the file of `--remember` was not written.',
  },
});
