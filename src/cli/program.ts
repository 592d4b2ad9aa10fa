import { Command, Option } from 'commander';
import { addLater, laterOption, laterVerbs } from './later.ts';
import { retentionVerbs } from './program-retention.ts';
import { duration, fraction, keyValue, positiveInteger, share } from './values.ts';

/** Called with what was typed, once it has parsed. `verb` has its subcommand: `key add`. */
export type Dispatch = (
  verb: string,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
  command: Command,
) => Promise<void>;

/** The examples of each verb's help, for tests to run. */
export const examplesOf = new WeakMap<Command, readonly string[]>();

/**
 * The option that a verb cannot do without. Commander would miss it before anything else: whoever misspells it is better
 * told so.
 */
export const neededOf = new WeakMap<Command, Option>();

/** All verbs and their options. Loads nothing but commander: what a verb does is loaded when it runs. */
export function createProgram(version: string, dispatch: Dispatch): Command {
  const program = new Command('holdfast')
    .description(
      'Backups that prove they restore: PostgreSQL, SQLite and files in one deduplicated, encrypted repository.',
    )
    .version(version, '-V, --version', 'print the version')
    .enablePositionalOptions()
    .helpCommand('help [verb]', 'show the help of a verb')
    .showSuggestionAfterError(false)
    .addHelpText('after', '\nholdfast help HF-5005 explains an error by its code.');
  common(program);
  const verb = (
    parent: Command,
    usage: string,
    summary: string,
    examples: readonly (readonly [string, string])[],
  ): Command => {
    const command = parent.command(usage).summary(summary).description(summary).allowExcessArguments(false);
    common(command);
    examplesOf.set(
      command,
      examples.map(([line]) => line),
    );
    const width = Math.max(...examples.map(([line]) => line.length));
    const lines = examples.map(([line, what]) => `  ${line.padEnd(width)}  ${what}`);
    command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
    const name = parent === program ? command.name() : `${parent.name()} ${command.name()}`;
    command.action(async () => {
      await dispatch(name, command.args, command.optsWithGlobals(), command);
    });
    return command;
  };

  verb(program, 'init', 'create a repository and write its recovery kit', [
    ['holdfast init', 'in ./backups, or where the configuration says'],
    ['holdfast init --repo /srv/backups', 'in a directory of your choice'],
    ['holdfast init --repo s3://shop-backups/db --create-bucket', 'in a new bucket'],
    ['holdfast init --no-encryption', 'readable by anyone who can read the place'],
    ['holdfast init --from-repository s3://shop-backups/db', 'bring back the configuration on a new machine'],
  ])
    .option('--no-encryption', 'do not encrypt; damage is still detected')
    .option('--label <text>', 'name of the first key (default: user@host)')
    .option(
      '--create-bucket',
      'make the bucket when it is not there, with versioning and without public access',
    )
    .option('--recovery-kit <file>', 'where to write the recovery kit (default: the current directory)')
    .option('--from-repository <place>', 'write the configuration that is kept there, and create nothing')
    .option('--host <name>', 'with --from-repository: of this machine (default: of the newest backup)')
    .option('--out <file>', 'with --from-repository: where to write it (default: holdfast.yaml)')
    .option('--force', 'with --from-repository: replace files that are there already');

  verb(program, 'backup [sources...]', 'back up the configured sources, or those named', [
    ['holdfast backup', 'every configured source, or DATABASE_URL'],
    ['holdfast backup shop blog', 'these sources only'],
    ['holdfast backup --from postgres://user@localhost/shop', 'a database that is not configured'],
    ['holdfast backup --from pgdata:/var/lib/postgresql/17/main', 'a whole server, page by page'],
    ['holdfast backup --from sqlite:data/app.db', 'a SQLite database, while it is in use'],
    ['holdfast backup --from files:/srv/uploads', 'a directory'],
    ['holdfast backup --tag release=1.4 --json', 'labelled, with events for a program'],
    ['holdfast backup --dry-run', 'look whether it would work'],
  ])
    .option(
      '--from <url>',
      'back up this instead of a configured source: postgres://…, pgdata:DIRECTORY, sqlite:FILE or files:DIRECTORY',
    )
    .option('--tag <key=value>', 'label the backups; may be repeated', keyValue)
    .option('--jobs <n>', 'how many tables, databases or lots of files to read at once', positiveInteger)
    .option('--dry-run', 'look whether it would work, store nothing');

  const restore = verb(
    program,
    'restore <id>',
    'restore a backup: a database, a cluster, SQLite files, a directory',
    [
      ['holdfast restore latest:shop --to postgres://user@localhost/shop_restored', 'PostgreSQL'],
      ['holdfast restore latest:app --to ./app-restored.db', 'SQLite'],
      ['holdfast restore latest:uploads --to ./uploads-restored', 'files'],
      ['holdfast restore latest:uploads --to ./found --only path=2026/11', 'some of them'],
      [
        'holdfast restore latest:app --to data/app.db --force',
        'in the place of what is there, which is kept',
      ],
      ['holdfast restore latest:main --to /srv/restored --at 2026-11-21T20:15Z', 'a cluster, as it was then'],
      ['holdfast restore 3f9a --to ./restored --dry-run', 'say what would happen'],
    ],
  )
    .option(
      '--to <target>',
      'where to: postgres://user@host/database, a directory or a file; made when not there',
    )
    .option(
      '--only <what>',
      'table=schema.name, schema=name, database=name or path=…; may be repeated',
      collect,
    )
    .option('--jobs <n>', 'how many tables or lots of files to restore at once', positiveInteger)
    .option('--no-owner', 'everything belongs to the user who restores')
    .option('--no-privileges', 'leave grants out')
    .option('--no-check', 'do not compare what is restored with the backup')
    .option('--globals', 'also create the roles of the backup that are missing')
    .option('--force', 'put it in the place of what is there, which is kept under another name')
    .option('--dry-run', 'say what would happen, change nothing');
  clusterOptions(restore);
  for (const flag of ['--in-place', '--no-safety-backup']) laterOption(restore, flag);

  const exported = verb(program, 'export <id>', 'write a backup as plain files that other tools open', [
    ['holdfast export latest --to ./exported', 'for psql, sqlite3 or tar, as the backup is'],
    ['holdfast export latest:shop --to ./exported --format dump', 'for pg_restore'],
    ['holdfast export 3f9a --to ./exported --only database=shop', 'a part of it'],
  ])
    .option('--to <directory>', 'where to; made when it does not exist')
    .addOption(new Option('--format <format>', 'of PostgreSQL; sql unless given').choices(['sql', 'dump']))
    .option('--only <what>', 'what --only of a restore takes; may be repeated', collect)
    .option('--jobs <n>', 'how much to compress at once', positiveInteger)
    .option('--force', 'write files anew that are there already')
    .option('--dry-run', 'say what would be written');

  verb(program, 'import <files...>', 'make backups of dumps, databases and archives in files', [
    ['holdfast import shop.dump', 'of pg_dump -Fc'],
    ['holdfast import exported/*.tar.gz', 'of tar, and what export wrote, checksums compared'],
    ['holdfast import old.sql.gz --source shop --tag from=cron', 'as a backup of that source, labelled'],
  ])
    .option('--source <name>', 'the source the backups are of (default: what the file says, or its name)')
    .option('--tag <key=value>', 'label the backups; may be repeated', keyValue)
    .option('--jobs <n>', 'how much to work on at once', positiveInteger)
    .option('--dry-run', 'look what the files are, store nothing');

  verb(program, 'list', 'list the backups', [
    ['holdfast list', 'all of them, oldest first'],
    ['holdfast list --source shop --limit 5', 'the newest five of one source'],
    ['holdfast list --tag release=1.4 --json', 'those with a label, for a program'],
  ])
    .option('--source <name>', 'only of this source')
    .option('--tag <key=value>', 'only with this label; may be repeated', keyValue)
    .option('--limit <n>', 'only the newest so many', positiveInteger);

  verb(program, 'size', 'show what sources, backups and the repository take', [
    ['holdfast size', 'every source, the newest backups, the whole'],
    ['holdfast size --source shop --limit 50', 'one source, more of its backups'],
    ['holdfast size --json', 'all of it, for a program'],
  ])
    .option('--source <name>', 'show only this source')
    .option(
      '--limit <n>',
      'show only the newest so many backups (default: 20; with --json all)',
      positiveInteger,
    );

  verb(program, 'status', 'show at a glance how backups, copies and WAL stand', [
    ['holdfast status', 'ends with 0 when all is well, 1 or 3 when something is amiss: for monitors'],
    ['holdfast status --sizes', 'also what each place holds, which lists every object'],
    ['holdfast status --json --timeout 5s', 'for a program, copies having five seconds'],
  ])
    .option('--sizes', 'add up what each place holds')
    .option('--timeout <time>', 'how long each copy may take to answer (default: 15s)', duration);

  verb(program, 'info <id>', 'show one backup in detail', [
    ['holdfast info latest', 'the newest'],
    ['holdfast info 3f9a --json', 'by the first digits of its id, for a program'],
    ['holdfast info latest:shop --entries', 'with everything that is in it'],
  ]).option('--entries', 'list every entry');

  verb(program, 'verify [ids...]', 'check that everything is there and as it was written', [
    ['holdfast verify', 'structure of the whole repository'],
    ['holdfast verify latest --read-data', 'every byte that one backup needs'],
    ['holdfast verify --read-data-subset 10%', 'a tenth of all data, what was read the longest ago'],
    ['holdfast verify --repair --dry-run', 'what could be mended, and how'],
    ['holdfast verify --repair --from offsite', 'mend what is damaged, from a copy'],
  ])
    .option('--read-data', 'read and check every byte')
    .addOption(
      new Option('--read-data-subset <share>', 'read a share, what was read the longest ago: 10% or 0.1')
        .argParser(fraction)
        .conflicts('readData'),
    )
    .option('--repair', 'mend what is damaged or missing, from copies and from what is left')
    .addOption(
      new Option(
        '--from <place>',
        'with --repair: a copy, by its name below repositories: or its location; may be repeated',
      ).argParser(collect),
    )
    .option('--dry-run', 'with --repair: say what would be mended, change nothing')
    .option('--empty-quarantine', 'with --repair: remove what was set aside, once all is well')
    .option('--no-report', 'leave no report in the repository, for credentials that may not write')
    .option('--since-file <file>', 'no backup may be gone that this file remembers, unless it was forgotten')
    .option('--remember <file>', 'write into this file which backups there are, to be kept elsewhere')
    .option('--accept-place', 'how the place of the repository is set up now is as it shall be')
    .option('--jobs <n>', 'how many packs to check at once', positiveInteger);

  verb(program, 'rebuild-index', 'make the indexes anew from the packs', [
    ['holdfast rebuild-index', 'harmless at any time; verify says when it helps'],
  ]);

  retentionVerbs(program, verb);

  verb(program, 'sync', 'bring copies of the repository up to date', [
    ['holdfast sync', 'every copy that the configuration names'],
    ['holdfast sync --to offsite', 'one of them'],
    ['holdfast sync --to s3://my-bucket/backups', 'an empty place becomes a copy'],
  ])
    .option('--to <place>', 'a name below repositories:, or a location; may be repeated', collect)
    .option('--anew', 'fill it, though it was filled before and is empty now');

  verb(program, 'prune', 'give back the space that no backup needs', [
    ['holdfast prune --dry-run', 'say what would be removed and marked'],
    ['holdfast prune', 'remove what was marked long enough ago, mark what is not needed now'],
    ['holdfast prune --max-unused 0%', 'take every pack apart that holds something unneeded'],
  ])
    .option('--grace <time>', 'how long what is marked now has to wait (default: prune.grace, 72h)', duration)
    .option('--max-unused <share>', 'so much may stay unused in packs (default: prune.max_unused, 5%)', share)
    .option('--dry-run', 'say what would happen, change nothing');

  const key = program
    .command('key')
    .summary('passphrases: list, add, remove, change; credentials that only add')
    .description('The passphrases that open the repository, and credentials that only add to it.');
  common(key);
  verb(key, 'list', 'list the keys', [['holdfast key list', 'ids and labels']]);
  verb(key, 'add', 'add a passphrase', [
    ['holdfast key add --label ops', 'asks for the new passphrase twice'],
    ['holdfast key add --new-passphrase-file /run/secrets/new', 'reads it from a file'],
  ])
    .option('--label <text>', 'name of the key (default: user@host)')
    .option('--new-passphrase-file <file>', 'file whose first line is the new passphrase');
  const remove = verb(key, 'remove <id>', 'remove a passphrase', [
    ['holdfast key remove 1a2b', 'by the first digits of its id; asks when it is the one in use'],
  ]);
  verb(key, 'change', 'replace the passphrase in use', [
    ['holdfast key change', 'asks for the new one twice'],
  ])
    .option('--label <text>', 'name of the key (default: user@host)')
    .option('--new-passphrase-file <file>', 'file whose first line is the new passphrase');

  verb(key, 'agent', 'make credentials that can add backups and read or remove nothing', [
    ['holdfast key agent --out agent.json', 'for a machine that must not be able to harm the backups'],
    ['holdfast key agent --policy s3', 'what its account in S3 has to be allowed'],
  ])
    .option('--out <file>', 'the new file with the credentials')
    .option('--label <text>', 'for people: whose they are')
    .addOption(new Option('--policy <storage>', 'print the policy of the storage').choices(['s3']));

  const wal = program
    .command('wal')
    .summary('the WAL of a PostgreSQL cluster: stream, status, push, get')
    .description('The WAL of a PostgreSQL cluster, for recovery to any moment.');
  common(wal);
  verb(wal, 'push <path>', "store a file of pg_wal: archive_command = 'holdfast wal push %p'", [
    ['holdfast wal push pg_wal/000000010000000A000000FF', 'durable when it ends with 0'],
    ['holdfast wal push --source main pg_wal/00000002.history', 'where there are several clusters'],
  ]).option('--source <name>', 'the cluster it is of (default: the only one in the settings)');
  verb(wal, 'get <name> <path>', "fetch a file of pg_wal: restore_command = 'holdfast wal get %f %p'", [
    ['holdfast wal get 000000010000000A000000FF pg_wal/RECOVERYXLOG', 'ends with 1 when it is not there'],
  ])
    .option('--source <name>', 'the cluster it is of (default: the only one in the settings)')
    .addOption(new Option('--behind <name>', 'fetch what comes behind, for later').hideHelp());

  verb(wal, 'stream', 'store the WAL of a server as it is written, until it is told to end', [
    ['holdfast wal stream', 'as a service: what is lost with the server is about a second'],
    ['holdfast wal stream --synchronous', 'nothing is lost: synchronous_standby_names = the slot'],
    ['holdfast wal stream --once', 'store what there is, and end: for cron'],
  ])
    .option('--source <name>', 'the cluster (default: the only one in the settings)')
    .option('--synchronous', 'store at once, so that commits can wait for it')
    .option('--once', 'end when all is stored that was there at the beginning, or at the first error')
    .option('--no-create-slot', 'do not make the replication slot when it is missing');

  verb(wal, 'status', 'show how far the WAL is stored, and what can be recovered with it', [
    ['holdfast wal status', 'of every cluster, with what its server says'],
    ['holdfast wal status --source main --json', 'of one, for a program'],
  ]).option('--source <name>', 'only this cluster');

  verb(program, 'doctor', 'check tools, permissions, the repository and every source', [
    ['holdfast doctor', 'says how to mend what is amiss'],
    ['holdfast doctor --json', 'for a program'],
  ]);

  verb(program, 'demo', 'show a backup, a disaster and the proof of restore', [
    ['holdfast demo', 'with a throwaway PostgreSQL server, a SQLite database and a directory'],
    ['holdfast demo --keep', 'leaves everything for playing'],
    [
      'holdfast demo --tamper',
      'spoils rows and a file of what came back: the proof fails, and so does the demo',
    ],
  ])
    .option('--keep', 'keep the servers and the repository')
    .option('--tamper', 'change rows and a file before the proofs, which must notice');

  const config = program
    .command('config')
    .summary('validate, show, schema, template')
    .description('The configuration.');
  common(config);
  verb(config, 'validate', 'check the configuration', [
    ['holdfast config validate --config holdfast.yaml', 'tells line and column of what is wrong'],
  ]);
  verb(config, 'show', 'show every setting and where it comes from', [
    ['holdfast config show', 'secrets are not shown'],
  ]);
  verb(config, 'schema', 'print the JSON Schema', [
    ['holdfast config schema > holdfast.schema.json', 'for editors'],
  ]);
  verb(config, 'template', 'print a commented file with every setting', [
    ['holdfast config template > holdfast.yaml', 'a place to start'],
  ]);

  verb(program, 'completion <bash|zsh|fish>', 'print a script that completes words in a shell', [
    ['holdfast completion bash > ~/.local/share/bash-completion/completions/holdfast', 'for bash'],
    ['holdfast completion zsh > ~/.zsh/completions/_holdfast', 'for zsh, where fpath names that directory'],
    ['holdfast completion fish > ~/.config/fish/completions/holdfast.fish', 'for fish'],
  ]).registeredArguments[0]?.choices(['bash', 'zsh', 'fish']);

  for (const command of [restore, exported]) {
    const to = command.options.find(({ long }) => long === '--to');
    if (to !== undefined) neededOf.set(command, to);
  }
  for (const command of [restore, remove])
    command.options.find(({ long }) => long === '--yes')?.hideHelp(false);
  for (const name of laterVerbs) addLater(program, name);
  return program;
}

/** What a restore of a cluster can be told beside. */
function clusterOptions(restore: Command): void {
  restore
    .optionsGroup('Of a PostgreSQL cluster, to any moment that its WAL is there for:')
    .option('--at <time>', "as it was then: '2026-11-21 20:15:30+00', '10 minutes ago'")
    .option('--at-lsn <lsn>', 'as it was at that position of the WAL')
    .option('--at-xid <xid>', 'with that transaction as the last')
    .option('--at-name <name>', 'as it was at a restore point: pg_create_restore_point()')
    .option('--at-end', 'with all there is')
    .option('--exclusive', 'stop just before what was asked for, not just behind it')
    .option('--timeline <which>', 'latest (default), current (that of the backup) or a number')
    .addOption(
      new Option('--action <what>', 'what the server does when it got there (default: promote)').choices([
        'promote',
        'pause',
        'shutdown',
      ]),
    )
    .option('--delta', 'change the directory that is there; what is right in it already is kept')
    .option('--tablespace <old=new>', 'another place for a tablespace; may be repeated', collect)
    .option('--start', 'start the server and wait until it got there')
    .option('--keep-archiving', 'leave archive_mode as it was on the server that was backed up');
}

function common(command: Command): void {
  command
    .option(
      '--repo <place>',
      'the repository: a path, a URL (s3://…, sftp://…), or a name below repositories:',
    )
    .option('--config <file>', 'the configuration file (default: ./holdfast.yaml)')
    .option('--json', 'standard output holds only JSON')
    .option('--quiet', 'say nothing but errors, and warnings to act on')
    // Taken everywhere, so that scripts need not know which verbs ask; shown by those that do.
    .addOption(new Option('--yes', 'answer every question with yes').hideHelp())
    .addOption(
      new Option('--log-level <level>', 'show log lines from this level on').choices([
        'debug',
        'info',
        'warn',
        'error',
      ]),
    );
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
