import type { Clock } from '../../kernel/clock.ts';
import { isFailure } from '../../kernel/errors/failure.ts';
import type { Logger } from '../../kernel/log.ts';
import { Remote } from './remote.ts';
import { SftpSession } from './session.ts';
import type { SshRoute } from './ssh.ts';

export interface ConnectionOptions {
  readonly clock: Pick<Clock, 'sleep'>;
  readonly logger: Logger;
}

interface Connection {
  readonly opening: Promise<Remote>;
  /** Once it is open. */
  remote: Remote | undefined;
  /** Works that use it now. */
  users: number;
}

/** How long `close` waits for what tidies up behind aborted calls. */
const tidyMs = 2000;

/**
 * A few logins at one server, made when they are needed and used again. A server works on the requests of one login
 * one after another, so a flush would hold up everything else. What died is replaced by the next call.
 */
export class SftpConnections {
  readonly #route: SshRoute;
  readonly #options: ConnectionOptions;
  readonly #works = new Set<Promise<unknown>>();
  #connections: Connection[] = [];
  #limit: number;
  #isClosed = false;

  constructor(route: SshRoute, options: ConnectionOptions) {
    this.#route = route;
    this.#options = options;
    this.#limit = route.settings.connections;
  }

  /**
   * Runs `work` on a login. When the signal aborts this rejects with its reason at once; `work` must end soon by
   * itself then, and may tidy up: its login stays until it has.
   */
  async run<T>(work: (remote: Remote) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    const working = this.#work(work, signal);
    this.#works.add(working);
    const forget = (): void => void this.#works.delete(working);
    working.then(forget, forget);
    return signal === undefined ? await working : await unlessAborted(working, signal);
  }

  /** Logs out everywhere. Calls under way fail. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const timer = new AbortController();
    const patience = this.#options.clock.sleep(tidyMs, timer.signal).catch(() => undefined);
    await Promise.race([Promise.allSettled(this.#works), patience]);
    timer.abort();
    const all = this.#connections.splice(0);
    await Promise.all(
      all.map(({ opening }) => opening.then(({ session }) => session.end()).catch(() => undefined)),
    );
  }

  async #work<T>(work: (remote: Remote) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const connection = this.#choose();
    connection.users += 1;
    try {
      const remote = await connection.opening;
      signal?.throwIfAborted();
      return await work(remote);
    } catch (error) {
      if (!this.#mayShare(connection, error)) throw error;
    } finally {
      connection.users -= 1;
    }
    return await this.#work(work, signal);
  }

  /** One that nobody uses, else a new one, else that with the fewest users. */
  #choose(): Connection {
    if (this.#isClosed) throw new Error('this storage was closed');
    this.#connections = this.#connections.filter(({ remote }) => remote?.session.isAlive !== false);
    const [calmest] = this.#connections.toSorted((a, b) => a.users - b.users);
    if (calmest !== undefined && (calmest.users === 0 || this.#connections.length >= this.#limit))
      return calmest;
    const connection: Connection = { opening: this.#open(), remote: undefined, users: 0 };
    connection.opening.then(
      (remote) => {
        connection.remote = remote;
      },
      () => {
        this.#connections = this.#connections.filter((other) => other !== connection);
      },
    );
    this.#connections.push(connection);
    return connection;
  }

  async #open(): Promise<Remote> {
    const session = await SftpSession.connect(this.#route, this.#options.clock);
    this.#options.logger.debug('connected by sftp', { location: this.#route.shown, said: session.said });
    return await Remote.over(session);
  }

  /** Servers have limits on logins: when one more was turned away, those that work are enough. */
  #mayShare(failed: Connection, error: unknown): boolean {
    if (failed.remote !== undefined || !isFailure(error, 'storage_unreachable') || this.#isClosed)
      return false;
    const working = this.#connections.filter(({ remote }) => remote?.session.isAlive === true);
    if (working.length === 0) return false;
    this.#limit = working.length;
    this.#options.logger.debug('the server takes no more logins', { logins: working.length, error });
    return true;
  }
}

async function unlessAborted<T>(working: Promise<T>, signal: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    const done = (): void => signal.removeEventListener('abort', onAbort);
    signal.addEventListener('abort', onAbort, { once: true });
    working.then(resolve, reject).finally(done);
  });
}
