import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { CephBucket } from '../../testing/ceph.ts';
import { runInProcess } from '../cli/in-process.ts';
import type { Json, Sandbox } from '../cli/program-runner.ts';
import { assertTree, bytesOf, type TreeState } from './trial-content.ts';

export const trialEnv = { HOLDFAST_PASSPHRASE: 'correct horse battery staple' };

/** One backup that was begun. */
export interface Attempt {
  /** In its tag `attempt`. */
  readonly name: string;
  readonly writer: number;
  readonly state: TreeState;
  /** When the program has said that it is done. */
  id?: string;
}

/** What there must be in a repository, and what may have gone. */
export interface Account {
  readonly attempts: readonly Attempt[];
  /** Ids of backups that somebody was told to forget, or that a rule let go. */
  readonly mayBeGone: ReadonlySet<string>;
}

/** Who looks at it when all is quiet. */
export class Owner {
  readonly #box: Sandbox;
  readonly #bucket: CephBucket;
  readonly #test: TestContext;

  constructor(box: Sandbox, bucket: CephBucket, t: TestContext) {
    this.#box = box;
    this.#bucket = bucket;
    this.#test = t;
  }

  async ok(...args: string[]): Promise<Json> {
    const ran = await runInProcess(this.#box, [...args, '--json'], { env: trialEnv });
    assert.equal(ran.code, 0, `${args.join(' ')}\n${ran.stdout}${ran.stderr}`);
    return ran.lines().at(-1) ?? {};
  }

  /** What is visible, by the attempt that made it. */
  async visible(attempts: readonly Attempt[]): Promise<Map<string, Attempt>> {
    const { backups } = (await this.ok('list')) as {
      backups: { id: string; tags: Record<string, string> }[];
    };
    return new Map(
      backups.map(({ id, tags }) => {
        const attempt = attempts.find(({ name }) => name === tags['attempt']);
        assert.ok(attempt !== undefined, `nobody made ${id}`);
        return [id, attempt];
      }),
    );
  }

  /** No backup that was finished is missing, and each that is there is whole, also those whose maker was killed. */
  async allRestores({ attempts, mayBeGone }: Account): Promise<void> {
    const visible = await this.visible(attempts);
    const finished = attempts.flatMap(({ id }) => (id === undefined ? [] : [id]));
    for (const id of finished)
      assert.ok(visible.has(id) || mayBeGone.has(id), `finished backup ${id} is not there`);
    await this.#restore(visible);
    assert.equal((await this.ok('verify', '--read-data'))['ok'], true);
    const unsaid = [...visible.values()].filter(({ id }) => id === undefined).length;
    this.#test.diagnostic(
      `${attempts.length} backups begun, ${finished.length} finished, ${visible.size} visible and restored, ${unsaid} of them of writers that were killed`,
    );
  }

  /** With one backup of each writer left, the packs hold what these have, and little else. */
  async spaceComesBack({ attempts }: Account): Promise<void> {
    const before = await this.#packBytes();
    await this.ok('clean', '--keep-last', '1', '--yes');
    let rounds = 0;
    for (let quiet = 0; quiet < 2;) {
      const report = (await this.ok('prune', '--grace', '1s', '--max-unused', '0%')) as Pruned;
      rounds += 1;
      assert.ok(rounds < 20, `there is always something left: ${JSON.stringify(report)}`);
      const isQuiet = report.removed.packs + report.marked.packs + report.waiting.length === 0;
      quiet = isQuiet ? quiet + 1 : 0;
      // What was stored lately is left alone for a while, what was marked waits.
      await delay(700);
    }
    const visible = await this.visible(attempts);
    const needed = bytesOf([...visible.values()].map(({ state }) => state));
    const after = await this.#packBytes();
    this.#test.diagnostic(
      `packs took ${before} bytes, and ${after} when ${visible.size} backups with ${needed} were left`,
    );
    assert.ok(after < needed * 1.1 + 200_000, `${after} bytes for ${needed}`);
    await this.#restore(visible);
    assert.equal((await this.ok('verify', '--read-data'))['ok'], true);
  }

  async #restore(visible: ReadonlyMap<string, Attempt>): Promise<void> {
    for (const [id, { name, state }] of visible) {
      const target = this.#box.at('restored');
      await this.ok('restore', id, '--to', target);
      assertTree(target, state, `backup ${id} of ${name}`);
      await rm(target, { recursive: true });
    }
  }

  async #packBytes(): Promise<number> {
    let bytes = 0;
    let token: string | undefined;
    do {
      const page = await this.#bucket.client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket.bucket,
          Prefix: 'prod/packs/',
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
      );
      for (const { Size } of page.Contents ?? []) bytes += Size ?? 0;
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return bytes;
  }
}

interface Pruned {
  readonly removed: { readonly packs: number };
  readonly marked: { readonly packs: number };
  readonly waiting: readonly unknown[];
}
