import assert from 'node:assert/strict';
import { systemClock, type Clock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import { makeCredentials } from '../../src/repository/agent/credentials.ts';
import { openAsAgent } from '../../src/repository/agent/open.ts';
import type { HistoryMemory } from '../../src/repository/remembered.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { GetOptions, Storage } from '../../src/storage/port.ts';
import { cacheDirectory } from '../../testing/repository.ts';

/** A storage as the policy for agents leaves it: put, list, and get of what everybody may know. Counts what was asked. */
export class PolicedStorage implements Storage {
  readonly location: string;
  readonly forbidden: string[] = [];
  puts = 0;
  readonly #inner: Storage;

  constructor(inner: Storage) {
    this.location = inner.location;
    this.#inner = inner;
  }

  async put(...args: Parameters<Storage['put']>): Promise<void> {
    this.puts += 1;
    await this.#inner.put(...args);
  }

  get(name: string, options?: GetOptions): Promise<Uint8Array> {
    if (name === 'holdfast.json' || name.startsWith('gc/marks/')) return this.#inner.get(name, options);
    return this.#forbid(`get ${name}`);
  }

  list(...args: Parameters<Storage['list']>): ReturnType<Storage['list']> {
    return this.#inner.list(...args);
  }

  stat(name: string): Promise<never> {
    return this.#forbid(`stat ${name}`);
  }

  delete(name: string): Promise<never> {
    return this.#forbid(`delete ${name}`);
  }

  foreign(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async close(): Promise<void> {}

  #forbid(what: string): Promise<never> {
    this.forbidden.push(what);
    return Promise.reject(new Error(`an agent asked for what it may not: ${what}`));
  }
}

export interface AgentOptions {
  readonly cache?: string;
  readonly clock?: Clock;
  readonly memory?: HistoryMemory;
}

/** The repository of `owner` as a machine has it open that only has the credentials of an agent. */
export async function openAgent(
  owner: Repository,
  storage: Storage = owner.storage,
  { cache = cacheDirectory(), clock = systemClock, memory }: AgentOptions = {},
): Promise<Repository & { readonly policed: PolicedStorage }> {
  const about = { label: 'test', nowMs: clock.now() };
  const credentials = await makeCredentials(owner.storage, owner.pipelineKeys, about);
  const policed = new PolicedStorage(storage);
  const repository = await openAsAgent(policed, credentials, {
    cacheDirectory: cache,
    clock,
    log: silentLogger,
    host: 'agenthost',
    user: 'agent',
    path: 'agent.json',
    memory,
  });
  assert.equal(repository.isAgent, true);
  return Object.assign(repository, { policed });
}
