import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Clock } from '../../kernel/clock.ts';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import { encodePacket, FieldReader, PacketAssembler, packets, statuses, type Field } from './codec.ts';
import { cannotStart, notSftp, sshArguments, sshEnvironment, sshFailure, type SshRoute } from './ssh.ts';

/** What a server answers to a request that it cannot do. */
export class SftpStatus extends Error {
  override readonly name = 'SftpStatus';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message === '' ? `status ${status}` : message);
    this.status = status;
  }
}

export interface Answer {
  readonly type: number;
  readonly fields: FieldReader;
}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** More than any server sends for what is asked here; text that is no packet reads as far more. */
const packetLimit = 4 * 1024 * 1024;
const stderrLimit = 16 * 1024;
/** For logging out, before ssh is ended by force. */
const graceMs = 2000;

/**
 * One login: a process of ssh, and SFTP version 3 spoken through it. Any number of requests may be under way; each is
 * answered by its id. Whatever ends the process rejects those that wait with the coded error that ssh's words stand
 * for. A session without requests under way does not keep this process alive.
 */
export class SftpSession {
  readonly #route: SshRoute;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, Waiting>();
  readonly #assembler = new PacketAssembler(packetLimit);
  readonly #closed: Promise<unknown>;
  #extensions: ReadonlySet<string> = new Set();
  #greeting: Waiting | undefined;
  #drained: Promise<unknown> | undefined;
  #stderr = '';
  #nextId = 0;
  #gone: Error | undefined;

  private constructor(route: SshRoute) {
    this.#route = route;
    // A group of its own: Ctrl-C at the terminal is for us, and we need ssh to tidy up. It ends when its input does.
    const child = spawn(route.settings.ssh, sshArguments(route), {
      env: sshEnvironment(route),
      detached: true,
    });
    this.#child = child;
    this.#closed = once(child, 'close').catch(() => undefined);
    child.stdout.on('data', (piece: Buffer) => this.#receive(piece));
    child.stderr.on('data', (piece: Buffer) => {
      this.#stderr = (this.#stderr + piece.toString()).slice(-stderrLimit);
    });
    // EPIPE: ssh has ended, which is noticed below.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => this.#fail(cannotStart(route, error)));
    // Without the server's half nothing more can come: whatever ssh still waits for, it is over.
    child.stdout.on('end', () => child.stdin.end());
    child.on('close', (code, signal) =>
      this.#fail(sshFailure(route, this.#stderr, `ssh ended with ${code ?? signal}`)),
    );
  }

  /**
   * Logs in. Rejects with `storage_unreachable`, with what `sshFailure` makes of the words of ssh, and with
   * `sftp_no_subsystem` where something else than SFTP answers.
   */
  static async connect(route: SshRoute, clock: Pick<Clock, 'sleep'>): Promise<SftpSession> {
    const session = new SftpSession(route);
    const timer = new AbortController();
    const tooLate = clock.sleep(route.settings.connect_timeout, timer.signal).then(() => {
      const reason = `nobody was let in within ${Math.ceil(route.settings.connect_timeout / 1000)} s`;
      session.#fail(failure('storage_unreachable', { location: route.shown, reason }));
    });
    // It is aborted when it is no longer needed.
    tooLate.catch(() => undefined);
    try {
      const greeting = new Promise<Answer>((resolve, reject) => {
        session.#greeting = { resolve, reject };
        if (session.#gone !== undefined) reject(session.#gone);
      });
      session.#child.stdin.write(encodePacket(packets.init, [3]));
      const { type, fields } = await greeting;
      if (type !== packets.version || fields.uint32() !== 3) throw notSftp(route, 'its version is not 3');
      const extensions = new Set<string>();
      while (!fields.atEnd) {
        extensions.add(fields.text());
        fields.bytes();
      }
      session.#extensions = extensions;
      session.#letGo();
      return session;
    } catch (error) {
      session.#kill();
      throw error;
    } finally {
      timer.abort();
    }
  }

  /** Names of what the server can do beyond the protocol. */
  get extensions(): ReadonlySet<string> {
    return this.#extensions;
  }

  get isAlive(): boolean {
    return this.#gone === undefined;
  }

  /** What ssh has printed, for the log. */
  get said(): string {
    return this.#stderr.trim();
  }

  /**
   * Sends a request and resolves with its answer; a status other than OK rejects as {@link SftpStatus}. Waits until ssh
   * takes more, so that little is queued here. The bytes of the fields are copied when they are sent.
   */
  async request(type: number, fields: readonly Field[]): Promise<Answer> {
    while (this.#gone === undefined && this.#child.stdin.writableNeedDrain) await this.#untilDrained();
    if (this.#gone !== undefined) throw this.#gone;
    const id = this.#nextId;
    this.#nextId = (id + 1) >>> 0;
    const answered = new Promise<Answer>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#hold();
    this.#child.stdin.write(encodePacket(type, [id, ...fields]));
    return answered;
  }

  /** Logs out; by force when that takes long. Requests under way reject. */
  async end(): Promise<void> {
    this.#hold();
    this.#gone ??= failure('storage_unreachable', { location: this.#route.shown, reason: 'it was closed' });
    this.#child.stdin.end();
    const force = setTimeout(() => this.#kill(), graceMs);
    await this.#closed;
    clearTimeout(force);
  }

  async #untilDrained(): Promise<void> {
    this.#drained ??= Promise.race([
      // Broken meanwhile: the end of the process tells why.
      once(this.#child.stdin, 'drain').catch(() => undefined),
      this.#closed,
    ]).finally(() => {
      this.#drained = undefined;
    });
    await this.#drained;
  }

  #receive(piece: Buffer): void {
    try {
      for (const packet of this.#assembler.take(piece)) this.#dispatch(packet);
    } catch (error) {
      const text = piece
        .subarray(0, 80)
        .toString()
        .replaceAll(/[^\x20-\x7e]+/g, ' ')
        .trim();
      const reason = this.#greeting === undefined ? reasonOf(error) : `it answers ${JSON.stringify(text)}`;
      this.#fail(notSftp(this.#route, reason));
    }
  }

  #dispatch(packet: Buffer): void {
    const type = packet.readUInt8(0);
    if (this.#greeting !== undefined) {
      this.#greeting.resolve({ type, fields: new FieldReader(packet, 1) });
      this.#greeting = undefined;
      return;
    }
    const id = packet.readUInt32BE(1);
    const fields = new FieldReader(packet, 5);
    const refusal = type === packets.status ? readStatus(fields) : undefined;
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) throw new RangeError('it answered what was not asked');
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#letGo();
    if (refusal === undefined) waiting.resolve({ type, fields });
    else waiting.reject(refusal);
  }

  #fail(error: Error): void {
    this.#gone ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#gone);
    this.#waiting.clear();
    this.#greeting?.reject(this.#gone);
    this.#greeting = undefined;
    this.#kill();
  }

  #kill(): void {
    this.#child.kill('SIGKILL');
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }

  #hold(): void {
    this.#child.ref();
    for (const pipe of this.#pipes()) pipe.ref();
  }

  #letGo(): void {
    this.#child.unref();
    for (const pipe of this.#pipes()) pipe.unref();
  }

  /** They are sockets, which Node's types do not tell. */
  #pipes(): readonly Socket[] {
    const { stdin, stdout, stderr } = this.#child;
    return ([stdin, stdout, stderr] as unknown as readonly Socket[]).filter((pipe) => !pipe.destroyed);
  }
}

/** Undefined for OK. */
function readStatus(fields: FieldReader): SftpStatus | undefined {
  const status = fields.uint32();
  if (status === statuses.ok) return undefined;
  return new SftpStatus(status, fields.atEnd ? '' : fields.text());
}
