import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { filesNamedBy, filesNotThere, fileWords } from '../command-files.ts';
import type { Effective } from './effective.ts';
import type { RecoverySettings } from './options.ts';
import { archives } from './recovery-block.ts';
import { socketPorts } from './socket-ports.ts';

export interface NotesInput extends Effective {
  readonly target: string;
  readonly keepArchiving: boolean;
  readonly recovery: RecoverySettings;
}

/** What of the configuration may not fit where the cluster is now, for people. */
export async function configNotes(input: NotesInput): Promise<string[]> {
  const { settings, notFollowed, target } = input;
  const value = (name: string): string => settings.get(name) ?? '';
  const notes = [...(await archivingNotes(input)), ...replicationNotes(input)];
  const port = value('port') === '' ? '5432' : value('port');
  if ((await socketPorts()).has(Number(port)) || (await isTaken(Number(port))))
    notes.push(
      `port ${port} is in use on this machine: set another in postgresql.conf, or start it with -o "-p PORT"`,
    );
  for (const one of unknownAddresses(value('listen_addresses')))
    notes.push(`listen_addresses names ${one}, which is no address of this machine`);
  for (const path of value('unix_socket_directories')
    .split(',')
    .map((one) => one.trim()))
    if (isAbsolute(path) && !(await isThere(path)))
      notes.push(`unix_socket_directories names ${path}, which is not there: the server will not start`);
  if (isAbsolute(value('log_directory')))
    notes.push(
      `log_directory is ${value('log_directory')}: the server that was backed up logs there as well`,
    );
  notes.push(...(await missingFiles(input)));
  for (const name of ['hba_file', 'ident_file'])
    if (value(name) !== '' && join(target, `pg_${name.slice(0, -5)}.conf`) !== value(name))
      notes.push(`${name} is ${value(name)}, outside of what was restored`);
  if (value('shared_preload_libraries') !== '')
    notes.push(
      `shared_preload_libraries loads ${value('shared_preload_libraries')}: whether they are installed here was not checked`,
    );
  if (notFollowed.length > 0)
    notes.push(`the configuration includes ${notFollowed.join(', ')}, which was not looked into`);
  return notes;
}

async function archivingNotes({ settings, keepArchiving }: NotesInput): Promise<string[]> {
  const notes: string[] = [];
  for (const name of ['archive_cleanup_command', 'recovery_end_command'])
    if ((settings.get(name) ?? '') !== '')
      notes.push(
        `${name} is switched off in postgresql.auto.conf, for it would act on what belongs to another server: ${settings.get(name) ?? ''}`,
      );
  if (!archives(settings)) return notes;
  const how = settings.get('archive_command') ?? settings.get('archive_library') ?? '';
  notes.push(
    keepArchiving
      ? `archive_mode stays ${settings.get('archive_mode') ?? ''}: the restored server archives to where the one that was backed up does (${how})`
      : `archive_mode was on and is off in postgresql.auto.conf, for a copy would archive to the place of the server that was backed up (${how}). If this is to be that server from now on, none of its WAL may be missing: before anything is written to it, stop it and run the same command again with --delta --keep-archiving; or take a backup as soon as it archives again`,
  );
  const missing = await filesNotThere(filesNamedBy(settings.get('archive_command') ?? ''));
  if (missing.length > 0)
    notes.push(
      `archive_command names what is not there on this machine: ${fileWords(missing)}; holdfast doctor prints the command for this one`,
    );
  return notes;
}

function replicationNotes({ settings, recovery }: NotesInput): string[] {
  const notes: string[] = [];
  const synchronous = settings.get('synchronous_standby_names') ?? '';
  if (synchronous !== '')
    notes.push(
      `synchronous_standby_names is ${synchronous}: without these standbys every commit will wait for ever`,
    );
  for (const name of ['primary_conninfo', 'primary_slot_name'])
    if ((settings.get(name) ?? '') !== '' && recovery.standby === true)
      notes.push(`${name} is set: the standby will follow that server`);
    else if ((settings.get(name) ?? '') !== '')
      notes.push(`${name} is left from when it was a standby; it counts only if it becomes one again`);
  return notes;
}

const sslFiles: readonly (readonly [name: string, standard: string])[] = [
  ['ssl_cert_file', 'server.crt'],
  ['ssl_key_file', 'server.key'],
  ['ssl_ca_file', ''],
  ['ssl_crl_file', ''],
  ['ssl_dh_params_file', ''],
];

async function missingFiles({ settings, target }: NotesInput): Promise<string[]> {
  if (!/^(?:on|t|tr|tru|true|y|ye|yes|1)$/i.test(settings.get('ssl') ?? '')) return [];
  const notes: string[] = [];
  for (const [name, standard] of sslFiles) {
    const value = settings.get(name) ?? standard;
    if (value !== '' && !(await isThere(isAbsolute(value) ? value : join(target, value))))
      notes.push(`ssl is on and ${name} (${value}) is not there: the server will not start`);
  }
  return notes;
}

function unknownAddresses(value: string): string[] {
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
  );
  const numeric = /^(?:\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]*)$/i;
  const any = new Set(['0.0.0.0', '::', '127.0.0.1', '::1']);
  return value
    .split(',')
    .map((one) => one.trim())
    .filter((one) => numeric.test(one) && !any.has(one) && !own.has(one));
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

const answersWithinMs = 1000;

async function isTaken(port: number): Promise<boolean> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return false;
  return await new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: answersWithinMs });
    const settle = (taken: boolean) => (): void => {
      socket.destroy();
      resolve(taken);
    };
    socket.once('connect', settle(true));
    socket.once('timeout', settle(false));
    socket.once('error', settle(false));
  });
}
