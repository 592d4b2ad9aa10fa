import type { Duplex } from 'node:stream';
import { Socket } from 'node:net';
import type { Clock } from '../../kernel/clock.ts';
import { connectClient, demandRole, firstThatOpens } from '../connection/client.ts';
import type { ConnectionParameters, HostPort } from '../connection/connection.ts';
import { settingOf } from '../connection/session.ts';
import type { Lsn } from '../lsn.ts';
import { startBaseBackup, type BaseBackupOptions, type BaseBackupStream } from './base-backup.ts';
import { lsnIn, numberIn, runCommand, textOf } from './commands.ts';
import { replicationFailure } from './errors.ts';
import { Link } from './link.ts';
import {
  createSlot,
  dropSlot,
  readSlot,
  timelineHistory,
  type SlotOptions,
  type SlotState,
  type TimelineHistory,
} from './slots.ts';
import { startStream, type StreamRequest, type WalStream } from './wal-stream.ts';

export interface SystemIdentity {
  /** Decimal digits. */
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** Of a standby: what it has received or replayed. */
  readonly flushedTo: Lsn;
}

/**
 * A connection over which a server gives its files and its WAL. One command at a time; a base backup and a stream of WAL
 * keep it until their end. Rejects with the coded errors of WAL and replication and of connections.
 */
export interface Replication extends AsyncDisposable {
  /** The host that answered. */
  readonly host: HostPort;
  /** 150018 for 15.18. */
  readonly serverVersionNumber: number;
  /** `15.18 (Debian …)`. */
  readonly serverVersion: string;
  identifySystem(): Promise<SystemIdentity>;
  show(name: string): Promise<string>;
  /** Null for timeline 1, and where the server has no such file. */
  timelineHistory(timeline: number): Promise<TimelineHistory | null>;
  /** Null: there is no such slot. `unknown`: servers before 15 do not tell over this protocol. */
  readSlot(name: string): Promise<SlotState | null | 'unknown'>;
  createSlot(name: string, options?: SlotOptions): Promise<void>;
  /** With `wait` until whoever uses it lets go of it. */
  dropSlot(name: string, options?: { readonly wait?: boolean }): Promise<void>;
  baseBackup(options: BaseBackupOptions): Promise<BaseBackupStream>;
  stream(request: StreamRequest): Promise<WalStream>;
  /** Ends whatever is under way. */
  close(): Promise<void>;
}

export interface ReplicationOptions {
  /** What the server calls us, in `synchronous_standby_names` too. Default `holdfast`. */
  readonly applicationName?: string | undefined;
  readonly clock: Pick<Clock, 'now'>;
  /** How far we are is told the server at least as often while WAL comes. Default 10 s. */
  readonly statusEveryMs?: number;
}

const defaultStatusEveryMs = 10_000;
/** How long a connection may be without any sign of life before the kernel asks the other side for one. */
const probeAfterMs = 30_000;

/**
 * Connects to the first host that answers and fits; `signal` ends the connection and all it is used for at once, for as
 * long as it lives. Throws `replication_role`, `replication_hba`, `replication_full`, `replication_off`, the errors of
 * any connection, or the signal's reason.
 */
export async function openReplication(
  parameters: ConnectionParameters,
  signal: AbortSignal,
  options: ReplicationOptions,
): Promise<Replication> {
  return await firstThatOpens(parameters, signal, (host) => openHost(parameters, host, signal, options));
}

async function openHost(
  parameters: ConnectionParameters,
  host: HostPort,
  signal: AbortSignal,
  options: ReplicationOptions,
): Promise<Replication> {
  const setting = settingOf({ ...parameters, hosts: [host] });
  const client = await connectClient(parameters, host, setting, {
    replication: true,
    applicationName: options.applicationName,
    asFailure: replicationFailure,
    signal,
  });
  const socket: Duplex = client.connection.stream;
  if (socket instanceof Socket && !host.host.startsWith('/')) socket.setKeepAlive(true, probeAfterMs);
  const link = new Link(socket, setting, signal);
  try {
    const show = (name: string): Promise<string> => showSetting(link, name);
    const version = Number(await show('server_version_num'));
    if (parameters.targetSessionAttributes !== 'any') {
      const inRecovery = (await show('in_hot_standby')) === 'on';
      demandRole(parameters, setting, inRecovery, (await show('transaction_read_only')) === 'on');
    }
    return new Connection(host, link, version, await show('server_version'), options);
  } catch (error) {
    await link.close();
    throw error;
  }
}

async function showSetting(link: Link, name: string): Promise<string> {
  const [[row] = []] = await runCommand(link, `SHOW ${name}`);
  return textOf(link, row, 0);
}

class Connection implements Replication {
  readonly host: HostPort;
  readonly serverVersionNumber: number;
  readonly serverVersion: string;
  readonly #link: Link;
  readonly #options: ReplicationOptions;

  constructor(host: HostPort, link: Link, version: number, text: string, options: ReplicationOptions) {
    this.host = host;
    this.#link = link;
    this.serverVersionNumber = version;
    this.serverVersion = text;
    this.#options = options;
  }

  async identifySystem(): Promise<SystemIdentity> {
    const [[row] = []] = await runCommand(this.#link, 'IDENTIFY_SYSTEM');
    return {
      systemIdentifier: textOf(this.#link, row, 0),
      timeline: numberIn(this.#link, row, 1),
      flushedTo: lsnIn(this.#link, row, 2),
    };
  }

  show(name: string): Promise<string> {
    return showSetting(this.#link, name);
  }

  timelineHistory(timeline: number): Promise<TimelineHistory | null> {
    return timelineHistory(this.#link, timeline);
  }

  readSlot(name: string): Promise<SlotState | null | 'unknown'> {
    return readSlot(this.#link, this.serverVersionNumber, name);
  }

  createSlot(name: string, options: SlotOptions = {}): Promise<void> {
    return createSlot(this.#link, this.serverVersionNumber, name, options);
  }

  dropSlot(name: string, { wait = false }: { readonly wait?: boolean } = {}): Promise<void> {
    return dropSlot(this.#link, name, wait);
  }

  baseBackup(options: BaseBackupOptions): Promise<BaseBackupStream> {
    return startBaseBackup(this.#link, this.serverVersionNumber, options);
  }

  async stream(request: StreamRequest): Promise<WalStream> {
    const statusEveryMs = Math.min(
      this.#options.statusEveryMs ?? defaultStatusEveryMs,
      // Reports tell the server that we are there, while our reader is busy and nothing is taken from the socket, too.
      ...(await this.#senderTimeoutMs()).map((ms) => ms / 4),
    );
    return await startStream(this.#link, request, { statusEveryMs, now: () => this.#options.clock.now() });
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Empty when the server waits for ever. */
  async #senderTimeoutMs(): Promise<number[]> {
    const [, value = '0', unit = 'ms'] = /^(\d+)\s*(\w*)$/.exec(await this.show('wal_sender_timeout')) ?? [];
    const units: Readonly<Record<string, number>> = {
      ms: 1,
      s: 1000,
      min: 60_000,
      h: 3_600_000,
      d: 86_400_000,
    };
    const ms = Number(value) * (units[unit] ?? 1);
    return ms > 0 ? [ms] : [];
  }
}
