import { defineErrors } from './define.ts';

export const storageErrors = defineErrors({
  object_missing: {
    code: 'HF-2001',
    kind: 'not_found',
    retryable: false,
    message: 'object {name} is not in {location}',
    hint: 'run holdfast verify to see which backups need it',
    explain: 'An object of the repository was asked for and is not there.',
  },
  object_exists: {
    code: 'HF-2002',
    kind: 'conflict',
    retryable: false,
    message: 'object {name} is already in {location} with other contents',
    hint: 'nothing was overwritten; run holdfast verify, and check that no other program writes there',
    explain: 'Objects are never overwritten. The same bytes under the same name count as success.',
  },
  storage_unreachable: {
    code: 'HF-2003',
    kind: 'unreachable',
    retryable: true,
    message: 'cannot reach {location}: {reason}',
    hint: 'check that it is mounted or that the network is up, then run the same command again',
    explain: 'The place did not answer, or broke off. Finished backups are not affected.',
  },
  storage_denied: {
    code: 'HF-2004',
    kind: 'refused',
    retryable: false,
    message: 'no permission to {action} in {location}: {reason}',
    hint: '{mend}',
    explain:
      'The user Holdfast runs as lacks a permission there. The message names who owns the place and who Holdfast runs ' +
      'as, the hint what mends it. Most often the command was only run as the wrong user: then run it as the owner. ' +
      'Giving the place to another user (`chown`) is for when the repository is to belong to that user: its owner ' +
      'cannot back up to it any more. What could not be written was not written in part.',
  },
  storage_full: {
    code: 'HF-2005',
    kind: 'failed',
    retryable: false,
    message: 'no space left in {location} while writing {name}',
    hint: 'free some space there and run the same command again; what was stored whole is not stored twice',
    explain:
      'The disk or quota is full. What was half written was removed again; finished backups are not affected.',
  },
  storage_read_only: {
    code: 'HF-2006',
    kind: 'refused',
    retryable: false,
    message: '{location} is read-only',
    hint: 'mount it writable, or name another repository with --repo',
    explain: 'The file system is mounted read-only. Restoring and verifying still work.',
  },
  storage_failed: {
    code: 'HF-2007',
    kind: 'failed',
    retryable: true,
    message: 'cannot {action} {name} in {location}: {reason}',
    hint: 'run the same command again; when it stays, look at the reason and raise the limit it names',
    explain:
      'The storage answered with an error that has no code of its own here, often a passing one such as too many ' +
      'open files. What was half written was removed again.',
  },
  storage_missing: {
    code: 'HF-2008',
    kind: 'not_found',
    retryable: false,
    message: 'there is nothing at {location}',
    hint: 'is the disk mounted, and the path right? Only where there has never been a repository: holdfast init --repo {location}',
    explain: 'The directory that should hold the repository does not exist.',
  },
  storage_name: {
    code: 'HF-2009',
    kind: 'refused',
    retryable: false,
    message: 'not a name for an object: {name}',
    hint: 'report this; names are made by Holdfast itself',
    explain:
      'Only segments of a-z, 0-9, dot, underscore and hyphen are object names, and no segment starts with a dot.',
  },
  storage_url: {
    code: 'HF-2010',
    kind: 'usage',
    retryable: false,
    message: 'cannot use {location} as a repository: {reason}',
    hint: 'give a path, or a URL such as s3://bucket/prefix; write a path with a colon in it as ./name:with:colon',
    explain: 'The location does not parse, or its scheme is not known.',
  },
  storage_layout: {
    code: 'HF-2012',
    kind: 'refused',
    retryable: false,
    message: 'cannot use {location}: {reason}',
    hint: '{mend}',
    explain:
      'Something is in the way: a file where a directory should be, a directory where an object should be, a loop of ' +
      'symbolic links, a path that is too long, or a part of the repository on another file system.',
  },
  storage_range: {
    code: 'HF-2013',
    kind: 'refused',
    retryable: false,
    message: 'not a range of bytes: offset {offset}, length {length}',
    hint: 'report this; ranges are made by Holdfast itself',
    explain: 'Offset and length must be whole numbers from 0 up.',
  },
  storage_file_limit: {
    code: 'HF-2014',
    kind: 'failed',
    retryable: false,
    message: '{name} is larger than a file may be in {location}',
    hint: 'raise the limit (ulimit -f unlimited), or use a file system without one; FAT32 ends at 4 GiB',
    explain:
      'A limit of the process or of the file system on the size of one file. What was half written was removed.',
  },
  storage_claimed: {
    code: 'HF-2015',
    kind: 'conflict',
    retryable: true,
    message: 'another writer has been storing {name} in {location} for {seconds} s and has not finished',
    hint: 'wait for it; when no other holdfast is running, remove {claim}',
    explain:
      'Only on file systems without hard links: a writer claims a name before it moves the object there. A claim left ' +
      'by a crash is removed by itself when it is 24 hours old.',
  },
  storage_io: {
    code: 'HF-2016',
    kind: 'failed',
    retryable: false,
    message: 'input/output error: cannot {action} {name} in {location}',
    hint: 'check the disk (dmesg, smartctl -a), then run holdfast verify --read-data',
    explain:
      'The disk or its driver failed. It is not tried again: after a failed flush a second one may claim success for ' +
      'data that is lost.',
  },
  storage_disorder: {
    code: 'HF-2018',
    kind: 'integrity',
    retryable: false,
    message: '{location} listed {name} after {before}',
    hint: 'run holdfast doctor on this repository; a store that lists out of order cannot be trusted with clean or prune',
    explain:
      'Objects must be listed in ascending order; otherwise a listing cannot be told from an incomplete one.',
  },
  storage_nowhere: {
    code: 'HF-2017',
    kind: 'refused',
    retryable: false,
    message: 'no place to keep backups: {preferred} ({reason}) and {fallback} ({fallbackReason})',
    hint: '{mend}; or name a place with --repo',
    explain:
      'No repository was named, and neither the usual directory nor the one in the home directory can be written.',
  },
  s3_no_bucket: {
    code: 'HF-2030',
    kind: 'not_found',
    retryable: false,
    message: 'there is no bucket {bucket} at {at}',
    hint: 'check its name, s3.endpoint and s3.region; to make it: holdfast init --create-bucket --repo {location}',
    explain: 'The service answers, the credentials are taken, and it has no bucket of that name.',
  },
  s3_region: {
    code: 'HF-2031',
    kind: 'usage',
    retryable: false,
    message: 'bucket {bucket} is in another region: {region}',
    hint: 'set s3.region (HOLDFAST_S3_REGION) to {region}, or write {location}?region={region}',
    explain: 'Requests are signed for a region, and the bucket is only served in its own.',
  },
  s3_no_region: {
    code: 'HF-2032',
    kind: 'usage',
    retryable: false,
    message: 'the region of {location} is not known',
    hint: 'set s3.region (HOLDFAST_S3_REGION) or AWS_REGION, or write {location}?region=…',
    explain: 'Neither settings, environment nor the profile of AWS name a region.',
  },
  s3_unknown_key: {
    code: 'HF-2033',
    kind: 'refused',
    retryable: false,
    message: 'the service of {location} does not know the access key {key}',
    hint: 'check s3.access_key_id or AWS_ACCESS_KEY_ID, whether the key was deleted or switched off, and whether s3.endpoint is the right service',
    explain: 'The id of the access key is of no account there.',
  },
  s3_signature: {
    code: 'HF-2034',
    kind: 'refused',
    retryable: false,
    message: 'the secret of the access key {key} is not the right one for {location}',
    hint: 'check s3.secret_access_key or AWS_SECRET_ACCESS_KEY: all of it, without spaces; a proxy that changes the Host header does this, too',
    explain: 'The service computes another signature than Holdfast. The secret was not sent.',
  },
  s3_clock: {
    code: 'HF-2035',
    kind: 'failed',
    retryable: false,
    message: 'the clock of this machine is too far from that of {location}, which says {theirs}',
    hint: 'set the clock (timedatectl set-ntp true), then run the same command again',
    explain: 'Requests are signed with the time, and the service refuses what is a quarter of an hour off.',
  },
  s3_token: {
    code: 'HF-2036',
    kind: 'refused',
    retryable: false,
    message: 'the temporary credentials for {location} are not valid any more: {reason}',
    hint: 'log in again (aws sso login), or set a new AWS_SESSION_TOKEN together with its key',
    explain: 'A session token has run out, was withdrawn, or is not that of the access key.',
  },
  s3_no_credentials: {
    code: 'HF-2037',
    kind: 'refused',
    retryable: false,
    message: 'no credentials for {location}: {reason}',
    hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or s3.profile; on a machine of AWS, give it a role',
    explain:
      'Looked for in the settings, the environment, the profiles of AWS, single sign-on, and the role of the machine or container, in this order.',
  },
  s3_archived: {
    code: 'HF-2038',
    kind: 'failed',
    retryable: false,
    message: 'object {name} in {location} is in {class} and cannot be read at once',
    hint: 'ask for it (aws s3api restore-object), wait some hours, and run the same command again; take away the rule of the lifecycle that moved it',
    explain:
      'A lifecycle rule that is not of Holdfast has moved it into an archive. Keep backups in classes that are read at once.',
  },
  storage_locked: {
    code: 'HF-2039',
    kind: 'refused',
    retryable: false,
    message: 'object {name} in {location} is locked and cannot be deleted: {reason}',
    hint: 'this is what the lock is for; it can be deleted when the lock has run out',
    explain: 'The service keeps the object until the time it was locked for has passed. Nothing was changed.',
  },
  s3_no_lock: {
    code: 'HF-2040',
    kind: 'refused',
    retryable: false,
    message: 's3.object_lock is set, and {bucket} cannot lock objects: {reason}',
    hint: 'take a bucket that was made with object lock (holdfast init --create-bucket makes one), or take s3.object_lock out of the settings',
    explain:
      'Most services only lock objects in buckets that were made for it, or where it was switched on later.',
  },
  s3_setting: {
    code: 'HF-2041',
    kind: 'usage',
    retryable: false,
    message: 'cannot use the settings for {location}: {reason}',
    hint: '{mend}',
    explain: 'The settings of the section s3 are incomplete, or a file they name cannot be read.',
  },
  s3_tls: {
    code: 'HF-2042',
    kind: 'refused',
    retryable: false,
    message: 'the connection to {at} for {location} is not trusted: {reason}',
    hint: 'for a service with a CA of its own set s3.ca_file; for one without TLS give the endpoint with http://',
    explain:
      'The certificate is of nobody that is trusted here, has run out or is for another name, or the service does not speak TLS. Nothing was sent.',
  },
  s3_stranger: {
    code: 'HF-2043',
    kind: 'failed',
    retryable: false,
    message: 'what answers at {at} for {location} does not speak S3: {reason}',
    hint: 'check s3.endpoint: it is the address of the S3 service, not of its web page; and that no proxy answers in its place',
    explain: 'The answer is none that an S3 service gives.',
  },
  s3_refused: {
    code: 'HF-2044',
    kind: 'failed',
    retryable: false,
    message: 'cannot {action} {name} in {location}: {reason}',
    hint: 'the service says why; see docs/storage-s3.md for what each service needs, and report this if it is not about your settings',
    explain: 'The service takes the request for wrong, so that trying again is of no use.',
  },
  s3_bucket_taken: {
    code: 'HF-2045',
    kind: 'conflict',
    retryable: false,
    message: 'the name {bucket} is taken: somebody else has a bucket that is called so ({location})',
    hint: 'choose another name; names of buckets are shared by all customers of a service',
    explain: 'A bucket was to be made, and the service has one of that name which is not yours.',
  },
  sftp_ssh: {
    code: 'HF-2050',
    kind: 'failed',
    retryable: false,
    message: 'cannot reach {location} with {command}: {reason}',
    hint: '{mend}',
    explain:
      'The ssh program could not be started, or does not accept its configuration or the files named in it.',
  },
  sftp_host_key_changed: {
    code: 'HF-2051',
    kind: 'refused',
    retryable: false,
    message: 'the host key of {host} is not the one that is known: {reason}',
    hint: 'ask whoever runs the server whether its key was changed; only if it was: ssh-keygen -R {entry}, then connect once by hand: {login}',
    explain:
      'The server shows another key than before, or one that was revoked. Either it was set up anew, or somebody else answers in its ' +
      'place. Nothing was sent to it, and it is not tried again.',
  },
  sftp_host_key_unknown: {
    code: 'HF-2052',
    kind: 'refused',
    retryable: false,
    message: 'the host key of {host} is not known on this machine',
    hint: 'connect once by hand as the user Holdfast runs as, and compare the fingerprint it shows with that of the server: {login}',
    explain:
      'Holdfast never accepts an unknown key by itself. The key must be in ~/.ssh/known_hosts of the user Holdfast runs as, in ' +
      '/etc/ssh/ssh_known_hosts, or in sftp.known_hosts_file.',
  },
  sftp_login: {
    code: 'HF-2053',
    kind: 'refused',
    retryable: false,
    message: '{host} does not let us log in: {reason}',
    hint: 'Holdfast logs in by key only. Make one and give it to the server: ssh-keygen -t ed25519 -N "" -f {key}; ssh-copy-id -i {key}.pub {target}; then this must work: {login}',
    explain:
      'The server refused every key, or ssh could not use them (rights of the file, a passphrase without an agent). Passwords are ' +
      'never asked for, as nobody is there at night to type them. sftp.identity_file names a key.',
  },
  sftp_host_name: {
    code: 'HF-2054',
    kind: 'unreachable',
    retryable: false,
    message: 'there is no host called {host}: {reason}',
    hint: 'check its name in {location}, and Host and HostName in ~/.ssh/config',
    explain: 'Its name is not in the DNS, in /etc/hosts or in the configuration of ssh.',
  },
  sftp_no_subsystem: {
    code: 'HF-2055',
    kind: 'refused',
    retryable: false,
    message: '{host} lets us log in and does not speak SFTP: {reason}',
    hint: 'on the server, put "Subsystem sftp internal-sftp" into the configuration of sshd, and let no start-up file of that user print anything; try it: {login}',
    explain:
      'The server has no SFTP subsystem, a command is forced on the key that is not it, or a start-up file of the shell prints into it.',
  },
  sftp_write_refused: {
    code: 'HF-2056',
    kind: 'failed',
    retryable: false,
    message: 'the server failed to {action} {name} in {location} and did not say why: {reason}',
    hint: 'look for a quota, a limit on the size of files, or a bad disk on the server (quota -s; df -h; dmesg)',
    explain:
      'SFTP has no words for a quota or a broken disk: the server only says that it failed, and the file system has space left. What was ' +
      'half written was removed again. It is not tried again, as after a failed flush a second one may claim success.',
  },
  sftp_no_fsync: {
    code: 'HF-2057',
    kind: 'refused',
    retryable: false,
    message: 'the server of {location} cannot flush a file to its disk: {reason}',
    hint: 'use a server with OpenSSH 6.5 or newer; or, if what was stored just before a power cut may be lost there: set sftp.allow_unflushed to true',
    explain:
      'Without fsync@openssh.com nobody can say that a backup would survive a power cut on the server, so nothing is written there unless ' +
      'it is allowed. Reading works.',
  },
  sftp_password: {
    code: 'HF-2058',
    kind: 'usage',
    retryable: false,
    message: '{location} was given with a password, and Holdfast logs in by key only',
    hint: 'leave the password out, make a key and give it to the server: ssh-keygen -t ed25519 -N "" -f {key}; ssh-copy-id -i {key}.pub {target}',
    explain:
      'ssh takes no passwords from other programs, for good reasons. A key can be limited to SFTP, and taken away, without touching the account.',
  },
  azure_no_container: {
    code: 'HF-2060',
    kind: 'not_found',
    retryable: false,
    message: 'there is no container {container} in the storage account {account}',
    hint: 'check its name and azure.account; to make it: holdfast init --create-bucket --repo {location}',
    explain: 'The service answers, the credentials are taken, and the account has no container of that name.',
  },
  azure_login: {
    code: 'HF-2061',
    kind: 'refused',
    retryable: false,
    message: 'the storage account {account} of {location} does not take our credentials: {reason}',
    hint: 'check azure.account and its key or shared access signature: all of it, not run out, of this account; and the clock of this machine (timedatectl)',
    explain:
      'The key is not of this account or was renewed, the signature has run out, keys are switched off for the account, or the clock of ' +
      'this machine is a quarter of an hour off.',
  },
  azure_setting: {
    code: 'HF-2062',
    kind: 'usage',
    retryable: false,
    message: 'cannot use the settings for {location}: {reason}',
    hint: '{mend}',
    explain: 'The settings of the section azure are incomplete, or a file they name cannot be read.',
  },
  azure_archived: {
    code: 'HF-2063',
    kind: 'failed',
    retryable: false,
    message: 'object {name} in {location} is in the archive tier and cannot be read at once',
    hint: 'bring it back to the tier Hot in the portal, wait some hours, and run the same command again; take away the rule that moved it',
    explain:
      'A rule of the account that is not of Holdfast has moved it there. Keep backups in tiers that are read at once.',
  },
  azure_refused: {
    code: 'HF-2064',
    kind: 'failed',
    retryable: false,
    message: 'cannot {action} {name} in {location}: {reason}',
    hint: 'the service says why; check azure.endpoint and azure.account, and report this if it is not about your settings',
    explain: 'The service takes the request for wrong, so that trying again is of no use.',
  },
  google_credentials: {
    code: 'HF-2065',
    kind: 'refused',
    retryable: false,
    message: 'no usable Google credentials for {location}: {reason}',
    hint: '{mend}',
    explain:
      'There are no credentials, they cannot be read, or Google does not take them: a key that was deleted, a consent that was withdrawn ' +
      'or has run out, a clock that is wrong by minutes. Nothing was changed.',
  },
  google_refused: {
    code: 'HF-2066',
    kind: 'failed',
    retryable: false,
    message: 'cannot {action} {name} in {location}: {reason}',
    hint: 'the service says why; see docs/storage-google.md, and report this if it is not about your settings',
    explain:
      'Google takes the request for wrong, so that trying again is of no use. What was half written is not visible.',
  },
  gs_create: {
    code: 'HF-2068',
    kind: 'usage',
    retryable: false,
    message: 'cannot create the bucket of {location}: {reason}',
    hint: '{mend}',
    explain:
      'A bucket needs a project that pays for it and a place where it lies, and its name must be free world-wide.',
  },
  gs_bucket_missing: {
    code: 'HF-2071',
    kind: 'not_found',
    retryable: false,
    message: 'there is no bucket {bucket} in Google Cloud Storage',
    hint: 'check its name; to make it, set gs.project and gs.bucket_location, then: holdfast init --create-bucket --repo {location}',
    explain: 'The service answers, the credentials are taken, and there is no bucket of that name.',
  },
  gdrive_folder_missing: {
    code: 'HF-2072',
    kind: 'not_found',
    retryable: false,
    message: 'there is no folder at {location}, or it lies in the bin',
    hint: 'look into the bin of Google Drive first; check the id, and that the folder is shared with whoever the credentials belong to. Only where there has never been a repository: holdfast init --repo {location}',
    explain:
      'Google does not tell a folder that is not there from one that these credentials may not see. With the scope drive.file only ' +
      'folders are seen that Holdfast has made. Objects are never said to be missing because their folder is.',
  },
  gdrive_limit: {
    code: 'HF-2069',
    kind: 'failed',
    retryable: false,
    message: '{location} takes no more files: {reason}',
    hint: '{mend}',
    explain:
      'Google Drive limits how many things a folder, a shared drive or an account may hold, and gives service accounts no space of ' +
      'their own. Finished backups are not affected.',
  },
  gdrive_ambiguous: {
    code: 'HF-2070',
    kind: 'refused',
    retryable: false,
    message: 'there are {count} folders called {name} in {location}',
    hint: 'name the one that is meant by its id, the last part of its address in the browser: {examples}',
    explain:
      'Google Drive lets several folders have one name, so that a path may lead to more than one. Which of them holds the repository ' +
      'is not guessed.',
  },
});
