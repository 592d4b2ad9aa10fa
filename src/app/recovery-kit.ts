import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { SourceConfig } from '../contract/config-source.ts';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { RepositoryInfo } from '../repository/model.ts';
import type { App } from './compose.ts';
import type { FoundPassphrase } from './passphrase.ts';
import { holdfastVersion } from './version.ts';

export interface RecoveryFacts {
  readonly info: RepositoryInfo;
  readonly location: string;
  /** Where the passphrase came from; undefined without encryption. */
  readonly found: FoundPassphrase | undefined;
  /** Those of the configuration, by name. */
  readonly sources: Readonly<Record<string, SourceConfig>>;
  /** Variables, without secrets, that tell another machine how to reach the place. */
  readonly reach?: readonly (readonly [name: string, value: string])[];
  /** Where else the same repository is. */
  readonly copies?: readonly string[];
}

/** Restores from a copy of a repository with nothing but Node. At the same distance from what is published. */
const restorer = 'holdfast-restore.mjs';
const restorerFile = join(import.meta.dirname, '..', '..', 'recovery', restorer);

/**
 * Writes the recovery kit, mode 0600, and beside it the file that restores without Holdfast. Answers the path of the
 * page: the one asked for, else the current directory, else the configuration directory when that cannot be written.
 * Null, with a loud word, when no place will take it: the repository is there all the same.
 */
export async function writeRecoveryKit(
  app: App,
  facts: RecoveryFacts,
  asked: string | undefined,
): Promise<string | null> {
  const text = recoveryKit(
    facts,
    `${app.machine.user}@${app.machine.host}`,
    new Date(app.machine.clock.now()),
  );
  const name = `holdfast-recovery-kit-${facts.info.id.slice(0, 8)}.md`;
  const places =
    asked === undefined
      ? [join(app.machine.cwd, name), join(app.directories.config, name)]
      : [resolve(app.machine.cwd, asked)];
  let trouble: unknown;
  for (const path of places) {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await using file = await open(path, 'wx', 0o600);
      await file.writeFile(text);
      await file.sync();
      await copyRestorer(dirname(path));
      return path;
    } catch (error) {
      trouble ??= error;
    }
  }
  const { message } = failure('key_file_failed', { path: places[0] ?? '', reason: reasonOf(trouble) });
  app.observer.notice({
    level: 'warning',
    message: `the recovery kit could not be written: ${message}`,
    hint: 'keep the location of the repository and its passphrase in a safe place yourself',
  });
  return null;
}

/** One that is there stays, whatever it is; and without one the page says where else to find it. */
async function copyRestorer(directory: string): Promise<void> {
  try {
    await using file = await open(join(directory, restorer), 'wx', 0o644);
    await file.writeFile(await readFile(restorerFile));
    await file.sync();
  } catch {
    // Nothing that anybody relies on yet.
  }
}

/** The page itself. It never holds a passphrase. */
export function recoveryKit(facts: RecoveryFacts, madeBy: string, madeAt: Date): string {
  const { info, location } = facts;
  const configured = Object.keys(facts.sources).length > 0;
  return `# Recovery kit of a Holdfast repository

Print this page, or keep it where it outlives the machine that makes the backups. It holds no secret.

| | |
| --- | --- |
| repository | \`${info.id}\` |
| place | \`${location}\` |
${copyRows(facts)}| format | ${info.format} |
| encrypted | ${info.encrypted ? 'yes, AES-256-GCM' : 'no'} |
| created | ${info.createdAt} by ${madeBy} |
| Holdfast | ${holdfastVersion()} |
| this page | ${madeAt.toISOString()} |

## What to keep, and where

1. **The place itself**, \`${location}\`, all of it: \`holdfast.json\`, \`keys/\`, \`packs/\` and the rest. A copy of the whole directory is a whole repository.
2. ${keeping(facts)}
3. **Holdfast itself**, version ${holdfastVersion()} or newer: a checkout, or a package file (\`npm pack\` in a checkout makes \`${packageFile()}\`). It is in no package registry: a package of that name there is somebody else's.
4. **\`${restorer}\`**, which was put beside this page (and is in the package, in \`recovery/\`): one file that restores from a copy of the place with nothing but Node.js 24.7 or newer. Do not keep it in the place itself: whoever can write there could give you another one.
5. **This page.**

Keep each of them in at least one place that does not burn down, get stolen or get encrypted together with this machine.

Passphrase of this repository (write it down by hand, or say where it is kept):

    ${facts.info.encrypted ? '______________________________________________' : '(none is needed)'}

${reaching(facts)}## Restore on this machine

    holdfast list --repo '${location}'
    holdfast verify --read-data --repo '${location}'

The first lists the backups, the second reads and checks all of them. Then${configured ? ', for each source that was configured when this page was made' : ', for each kind of backup (`list` names the sources)'}:

${restoreLines(facts).join('\n')}
${clusterWords(facts)}
What is to be restored to is made when it does not exist; what is there already is not touched without \`--force\`.

## Restore without this machine

1. Take any machine with npm${needsTools(facts) ? ' and the PostgreSQL client tools (Debian: `apt install postgresql-client`)' : ''}.
2. Put your copy of Holdfast there. In a checkout: \`npm ci\`, then \`bin/holdfast\`; any Node.js from 20 on will do, for \`npm ci\` brings the one it runs on. From a package file: \`npm install --global ./${packageFile()}\`, with Node.js 24.7 or newer. A newer version will do: every version reads what older ones wrote.
3. ${facts.location.includes('://') ? 'Set what tells how the place is reached, as above. Or bring' : 'Bring'} the place, or a copy of it, to where that machine can read it.
4. ${giving(facts)}
5. Run the commands above with the path of the copy.

## Restore without Holdfast

Where there is Node.js 24.7 or newer, with a copy of the place on that machine, ${info.encrypted ? 'the passphrase ' : ''}and \`${restorer}\`, nothing else is needed:

    node ${restorer} list ./copy
    node ${restorer} restore ./copy latest${onlySource(facts)} --to ./restored

${info.encrypted ? 'It asks for the passphrase; `--passphrase-file FILE` takes it from a file. ' : ''}\`node ${restorer} --help\` has the rest, and so has \`docs/recovery-kit.md\` in the package.

And without that, the format is public: \`docs/format.md\` in the package and in the source tells how every object is named, sealed and cut, precisely enough to write a reader. ${byHand(info.encrypted)}

## Check it before you need it

Once a quarter: \`holdfast verify --read-data\`, and a real \`holdfast restore\` of each source into a new place. A backup that was never restored is a hope.
`;
}

function copyRows({ copies = [] }: RecoveryFacts): string {
  return copies.map((copy) => `| copy of it | \`${copy}\` |\n`).join('');
}

function reaching({ location, reach = [] }: RecoveryFacts): string {
  if (!location.includes('://')) return '';
  const lines = reach.map(([name, value]) => `    export ${name}=${inShell(value)}`);
  const told = lines.length === 0 ? '' : `\n\n${lines.join('\n')}`;
  return `## How the place is reached

It needs credentials that may read there; they are not on this page, so write down who has them: ______________________${told}

`;
}

function inShell(text: string): string {
  return /^[A-Za-z0-9_./:=@-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function onlySource({ sources }: RecoveryFacts): string {
  const [first] = Object.keys(sources);
  return first === undefined ? '' : `:${first}`;
}

/** What restores the newest backup of each source: `latest` alone may be one of any kind. */
function restoreLines({ sources, location }: RecoveryFacts): string[] {
  const named = Object.entries(sources);
  const lines =
    named.length === 0
      ? [
          'latest:DATABASE_SOURCE --to postgres://USER@HOST/NEW_DATABASE',
          'latest:SQLITE_SOURCE --to ./sqlite-restored/',
          'latest:FILES_SOURCE --to ./files-restored',
          'latest:CLUSTER_SOURCE --to ./cluster-restored --at-end',
        ]
      : named.flatMap(([name, config]) => wordsFor(name, config));
  return lines.map((words) => `    holdfast restore ${words} --repo '${location}'`);
}

function wordsFor(name: string, config: SourceConfig): string[] {
  switch (config.type) {
    case 'sqlite':
      return [`latest:${name} --to ./${name}-restored/`];
    case 'files':
      return [`latest:${name} --to ./${name}-restored`];
    case 'postgres-cluster':
      return [`latest:${name} --to ./${name}-restored --at-end`];
    case 'postgres': {
      const to = '--to postgres://USER@HOST/NEW_DATABASE';
      // A backup of several databases restores one of them at a time.
      const databases = config.databases?.includes('*') === true ? ['DATABASE'] : (config.databases ?? []);
      if (databases.length < 2 && !databases.includes('DATABASE')) return [`latest:${name} ${to}`];
      return databases.map((database) => `latest:${name} --only 'database=${database}' ${to}`);
    }
  }
}

/** A whole cluster recovers along its WAL; the end of a backup is hardly ever what is wanted. */
function clusterWords({ sources, location }: RecoveryFacts): string {
  const named = Object.entries(sources);
  const [first] = named.find(([, { type }]) => type === 'postgres-cluster') ?? [];
  if (first === undefined && named.length > 0) return '';
  const name = first ?? 'CLUSTER_SOURCE';
  return `
\`--at-end\` recovers a PostgreSQL cluster by all the WAL that is stored. In its place \`--at 'TIME'\` recovers it as it was at a moment, such as \`--at '2026-11-21 20:15:30+00'\`; without either all WAL behind the backup is left out. A cluster with tablespaces needs a place for each where the old one is not free: \`--tablespace OID=DIRECTORY\`; \`holdfast info latest:${name} --repo '${location}'\` names them. Run it as the user that the server is to run as, on a machine with the same major version of PostgreSQL.
`;
}

function needsTools({ sources }: RecoveryFacts): boolean {
  const all = Object.values(sources);
  return all.length === 0 || all.some(({ type }) => type === 'postgres');
}

function packageFile(): string {
  return `holdfast-${holdfastVersion()}.tgz`;
}

function keeping({ found }: RecoveryFacts): string {
  if (found === undefined)
    return '**No key**: the repository is not encrypted. Whoever has the place has the data.';
  const loss = 'Without it nobody can read the backups, we neither.';
  const { source, detail = '' } = found;
  switch (source) {
    case 'key file':
      return `**The key file** \`${detail}\`. It was made at random and is on this machine alone: copy it now. ${loss}`;
    case 'file':
      return `**The passphrase**, which is read from \`${detail}\`. Keep a copy of it elsewhere. ${loss}`;
    case 'command':
      return `**The passphrase**, which the configured command prints. Make sure it can be had without this machine. ${loss}`;
    default:
      return `**The passphrase** you gave. ${loss}`;
  }
}

function giving({ info, found }: RecoveryFacts): string {
  if (found === undefined) return 'Nothing needs to be unlocked.';
  if (found.source === 'key file') {
    return `Put the copy of the key file where that machine can read it and name it: \`export HOLDFAST_PASSPHRASE_FILE=/path/to/${info.id}.key\`.`;
  }
  return 'Give the passphrase: it is asked for on the terminal, or set `HOLDFAST_PASSPHRASE`.';
}

function byHand(encrypted: boolean): string {
  return encrypted
    ? 'In short: a key in `keys/` opens with argon2id of the passphrase and gives the master key; HKDF makes the other keys from it; manifests name the entries of a backup, entries their chunks, chunks lie sealed with AES-256-GCM in `packs/`.'
    : 'In short: manifests name the entries of a backup, entries their chunks, chunks lie in `packs/`.';
}
