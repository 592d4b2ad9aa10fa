import { rm } from 'node:fs/promises';
import type { Clock } from '../../src/kernel/clock.ts';
import { runInProcess } from '../cli/in-process.ts';
import type { Json, Ran, Sandbox } from '../cli/program-runner.ts';
import { assertTree, ChangingTree } from './trial-content.ts';
import { trialEnv, type Account, type Attempt } from './trial-owner.ts';
import { errorCode } from './trial-processes.ts';
import { keptByClean, trialBox } from './trial-world.ts';

export interface HostileLifeOptions {
  readonly random: () => number;
  readonly clock: Clock;
  /** How the repository is reached. */
  readonly settings: string;
  readonly writers: number;
  readonly grace: string;
  readonly isOver: () => boolean;
}

export interface HostileLife extends Account {
  /** How often what came of it: `backup done`, `prune HF-2003`. */
  readonly counts: ReadonlyMap<string, number>;
  readonly unexpected: readonly string[];
}

/** Not reached, or not in the end: told so, and tried again by whoever asked. */
const unreachable = 8;
/**
 * What else may be said where listings lag behind: a pack that is to go, or is not seen; a backup that is not seen; one that
 * has gone; backups or chunks that are missing, so that nothing is removed.
 */
const mayBeSaid: ReadonlySet<string> = new Set([
  'HF-6106',
  'HF-3014',
  'HF-3010',
  'HF-6007',
  'HF-6103',
  'HF-6104',
]);

/** Backups, increments and restores of some writers, and a keeper who cleans, prunes and verifies, until it is over. */
export async function hostileLife(options: HostileLifeOptions): Promise<HostileLife> {
  const life = new Life(options);
  const writers = Array.from({ length: options.writers }, (_, writer) => life.write(writer));
  await Promise.all([...writers, life.keep()]);
  return life;
}

class Life implements HostileLife {
  readonly attempts: Attempt[] = [];
  readonly mayBeGone = new Set<string>();
  readonly counts = new Map<string, number>();
  readonly unexpected: string[] = [];
  readonly #options: HostileLifeOptions;
  #phase = 0;

  constructor(options: HostileLifeOptions) {
    this.#options = options;
  }

  async write(writer: number): Promise<void> {
    const { settings, writers, random } = this.#options;
    await using box = await trialBox(settings, { writers });
    const tree = new ChangingTree(box.at('tree'), random);
    for (let round = 1; !this.#isOver; round += 1) {
      this.#phase += 1;
      tree.change(Math.floor(this.#phase / 3));
      const attempt: Attempt = { name: `w${writer}-${this.attempts.length}`, writer, state: tree.state };
      this.attempts.push(attempt);
      const ran = await this.#run(box, 'backup', `w${writer}`, '--tag', `attempt=${attempt.name}`);
      if (ran.code !== 0) continue;
      const [made] = (ran.lines().at(-1)?.['backups'] ?? []) as readonly Json[];
      attempt.id = String(made?.['id']);
      if (round % 3 !== 0) continue;
      const target = box.at('restored');
      const restored = await this.#run(box, 'restore', attempt.id, '--to', target);
      if (restored.code === 0) assertTree(target, attempt.state, `backup ${attempt.id}, just made`);
      await rm(target, { recursive: true, force: true });
    }
  }

  async keep(): Promise<void> {
    const { settings, writers, random, grace } = this.#options;
    await using box = await trialBox(settings, { writers });
    while (!this.#isOver) {
      const dice = random();
      if (dice < 0.35) await this.#clean(box);
      else if (dice < 0.85) await this.#run(box, 'prune', '--grace', grace, '--max-unused', '0%');
      else await this.#run(box, 'verify', '--read-data-subset', '30%');
    }
  }

  get #isOver(): boolean {
    return this.#options.isOver() || this.unexpected.length > 0;
  }

  /** What is gone then has so many newer ones, of those that were begun by its end. */
  async #clean(box: Sandbox): Promise<void> {
    await this.#run(box, 'clean', '--yes');
    for (let writer = 0; writer < this.#options.writers; writer += 1) {
      const own = this.attempts.filter((attempt) => attempt.writer === writer);
      for (const { id } of own.slice(0, -keptByClean)) if (id !== undefined) this.mayBeGone.add(id);
    }
  }

  async #run(box: Sandbox, ...args: readonly string[]): Promise<Ran> {
    const ran = await runInProcess(box, [...args, '--json'], { env: trialEnv, clock: this.#options.clock });
    const how = ran.code === 0 ? 'done' : errorCode(ran);
    const what = `${args[0]} ${how}`;
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    if (ran.code !== 0 && ran.code !== unreachable && !mayBeSaid.has(how))
      this.unexpected.push(
        `${args.join(' ')} ended with ${ran.code}: ${ran.stdout.slice(-3000)}${ran.stderr}`,
      );
    return ran;
  }
}
