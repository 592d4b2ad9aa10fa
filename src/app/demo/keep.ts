import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Recovered } from './recovered.ts';
import type { Stage } from './stage.ts';

/** What is left for playing. */
export interface Kept {
  readonly directory: string;
  /** Of the database, without the password, which `env_file` sets. */
  readonly url: string;
  /** Of the same database in the cluster that was brought back. */
  readonly restored_url: string;
  /** The moment before a table was dropped, as `--at` takes it. */
  readonly moment: string;
  /** To be read into a shell (`. FILE`): sets the variables and goes to the directory. Mode 0600. */
  readonly env_file: string;
  /** A script that ends the server and removes everything. */
  readonly end: string;
  /** How to play, and how to end it. */
  readonly readme: string;
}

/** Writes what one needs to play on, and lets go of directory and servers. */
export async function keepStage(stage: Stage, recovered: Recovered, moment: string): Promise<Kept> {
  const { directory, url } = stage;
  const file = (name: string): string => join(directory, name);
  const restored = new URL(url);
  restored.port = String(recovered.port);
  const restored_url = restored.href;
  const kept = {
    directory,
    url,
    restored_url,
    moment,
    env_file: file('env'),
    end: file('end'),
    readme: file('README'),
  };
  const variables = { ...recovered.variables, RESTORED_URL: restored_url };
  await writeFile(kept.env_file, environment(stage, variables), { mode: 0o600 });
  await writeFile(kept.end, endScript(stage), { mode: 0o700 });
  await writeFile(kept.readme, howToPlay(kept));
  recovered.leave();
  stage.leave();
  return kept;
}

export function howToPlay({ directory, env_file, end, moment }: Omit<Kept, 'readme'>): string {
  return `Both servers still run, and everything is in ${directory};
what is backed up is in holdfast.yaml there.

To play, in a shell:
   . ${shell(env_file)}
   psql "$DATABASE_URL"
   psql "$RESTORED_URL"
   holdfast backup
   holdfast list
   holdfast info latest:uploads --entries
   holdfast restore latest:shop --to "$DATABASE_URL" --force
   holdfast restore latest:sessions --to data/sessions.db --force
   holdfast restore latest:uploads --to uploads --force
   holdfast verify --read-data
   holdfast wal status
   holdfast restore latest:cluster --to again --start \\
     --at '${moment}'

To stop the servers and remove it all:
   ${shell(end)}
`;
}

function environment({ directory, variables }: Stage, more: Readonly<Record<string, string>>): string {
  const programs = join(import.meta.dirname, '..', '..', '..', 'bin');
  const all = { ...variables, ...more };
  const lines = Object.entries(all).map(([name, value]) => `export ${name}=${shell(value)}`);
  return `${lines.join('\n')}
unset HOLDFAST_CONFIG HOLDFAST_REPOSITORY
export PATH=${shell(programs)}:"$PATH"
cd ${shell(directory)}
`;
}

function endScript({ directory, server }: Stage): string {
  return `#!/bin/sh
# Ends the servers of the demo, those that were restored included, and removes everything the demo made.
# After a restart of the machine another process may have that number.
is_ours() {
  grep -qaF "$data" "/proc/$pid/cmdline" 2>/dev/null || ps -o command= -p "$pid" 2>/dev/null | grep -qF "$data"
}
for data in ${shell(server.dataDirectory)} ${shell(directory)}/*; do
  [ -e "$data/postmaster.pid" ] || continue
  pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null)
  if [ -n "$pid" ] && is_ours; then
    kill -INT "$pid"
    while is_ours; do sleep 0.1; done
  fi
done
cd / && rm -rf ${shell(directory)}
`;
}

/** Quoted for a shell where that is needed. */
function shell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
