import { isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { ErrorName } from '../../kernel/errors/catalogue.ts';
import type { StreamContext } from './stream-told.ts';

const shortestMs = 200;
const longestMs = 10_000;

/** Pauses that grow, with jitter, so that many who were cut off together do not come back together. */
export class GrowingPause {
  #failures = 0;

  reset(): void {
    this.#failures = 0;
  }

  nextMs(random: () => number): number {
    const most = Math.min(longestMs, shortestMs * 2 ** this.#failures);
    this.#failures += 1;
    return Math.round(most * (0.5 + random() / 2));
  }
}

/**
 * A disk that is full is emptied some day, one that was mounted read-only is mounted again; keys are changed on one side
 * before they are on the other, and a network that answers in the place of a service is mended.
 */
const healing: ReadonlySet<ErrorName> = new Set<ErrorName>([
  'storage_denied',
  'storage_full',
  'storage_read_only',
  'storage_io',
  'storage_missing',
  'storage_nowhere',
  'storage_file_limit',
  'storage_disorder',
  's3_no_bucket',
  's3_unknown_key',
  's3_signature',
  's3_clock',
  's3_token',
  's3_no_credentials',
  's3_tls',
  's3_stranger',
  'sftp_ssh',
  'sftp_login',
  'sftp_host_name',
  'sftp_write_refused',
  'azure_no_container',
  'azure_login',
  'google_credentials',
  'gs_bucket_missing',
  'gdrive_folder_missing',
  'gdrive_limit',
]);

/** Calls the repository again and again until it answers; who is told of it once when it goes away, and once when it is back. */
export class PatientRepository {
  readonly #context: StreamContext;
  readonly #isPatient: boolean;
  readonly #pause = new GrowingPause();
  #isLost = false;

  /** Without patience the first error is thrown. */
  constructor(context: StreamContext, isPatient: boolean) {
    this.#context = context;
    this.#isPatient = isPatient;
  }

  /** Rejects with errors that no waiting heals, and with the signal's reason. */
  async call<T>(work: () => Promise<T>): Promise<T> {
    const { clock, random, signal } = this.#context;
    for (;;) {
      try {
        const result = await work();
        this.#found();
        return result;
      } catch (error) {
        signal.throwIfAborted();
        if (!this.#isPatient || !isFailure(error) || !(error.retryable || healing.has(error.errorName)))
          throw error;
        this.#lost(error);
        await clock.sleep(this.#pause.nextMs(random), signal);
      }
    }
  }

  #lost(error: HoldfastError): void {
    this.#context.log.info('the repository does not take WAL', { error });
    if (this.#isLost) return;
    this.#isLost = true;
    this.#context.observer.told({ state: 'repository_lost', error });
  }

  #found(): void {
    this.#pause.reset();
    if (!this.#isLost) return;
    this.#isLost = false;
    this.#context.observer.told({ state: 'repository_back' });
  }
}
