import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { sandbox, type Json, type Sandbox } from '../cli/program-runner.ts';
import { ChangingTree } from './trial-content.ts';
import { trialEnv, type Account, type Attempt } from './trial-owner.ts';
import type { Ended, Processes } from './trial-processes.ts';

export interface TrialOptions {
  readonly writers: number;
  readonly grace: string;
  readonly until: number;
  /** How long until other contents are in use. */
  readonly phaseMs: number;
}

/** Codes of errors that a backup may end with: what it relied on was about to go. It tries again. */
const mayFail: ReadonlySet<string> = new Set(['HF-6106', 'HF-3014']);
/** The last good backup; not there (any more); not forgotten; what it needs is gone; went meanwhile. */
const mayBeRefused: ReadonlySet<string> = new Set([
  'HF-6003',
  'HF-3010',
  'HF-6005',
  'HF-6006',
  'HF-6007',
  'HF-6001',
]);
export const keptByClean = 3;

interface CleanPlan {
  readonly plan?: readonly { readonly id: string; readonly action: string }[];
}

/** Writers, a pruner and somebody who forgets, each with a home and a cache of its own, in one bucket; all are killed at random. */
export class Trial implements Account {
  readonly attempts: Attempt[] = [];
  readonly mayBeGone = new Set<string>();
  readonly unexpected: string[] = [];
  readonly #processes: Processes;
  readonly #random: () => number;
  readonly #settings: string;
  readonly #options: TrialOptions;
  readonly #startedAt = performance.now();
  /** What a prune takes. */
  #usualMs = 3000;

  constructor(processes: Processes, random: () => number, settings: string, options: TrialOptions) {
    this.#processes = processes;
    this.#random = random;
    this.#settings = settings;
    this.#options = options;
  }

  /** Until the time is over. Rejects for what must not happen, others then end soon. */
  async run(): Promise<void> {
    const writers = Array.from({ length: this.#options.writers }, (_, writer) => this.#writer(writer));
    await Promise.all([...writers, this.#forgetter(), this.#pruner()]);
  }

  async box(): Promise<Sandbox> {
    return await trialBox(this.#settings, this.#options);
  }

  get #isOver(): boolean {
    return performance.now() > this.#options.until || this.unexpected.length > 0;
  }

  async #writer(writer: number): Promise<void> {
    await using box = await this.box();
    const source = `w${writer}`;
    const tree = new ChangingTree(box.at('tree'), this.#random);
    let usualMs = 3000;
    while (!this.#isOver) {
      tree.change(Math.floor((performance.now() - this.#startedAt) / this.#options.phaseMs));
      const name = `${source}-${this.attempts.length}`;
      const attempt: Attempt = { name, writer, state: tree.state };
      this.attempts.push(attempt);
      const ended = await this.#processes.run(box, ['backup', source, '--tag', `attempt=${name}`], {
        env: trialEnv,
        killAfterMs: this.#processes.killTime(0.3, usualMs),
      });
      this.#judge(ended, mayFail, 'backup');
      if (ended.ran.code !== 0) continue;
      usualMs = (usualMs * 3 + ended.elapsedMs) / 4;
      const [made] = (ended.ran.lines().at(-1)?.['backups'] ?? []) as readonly Json[];
      attempt.id = String(made?.['id']);
    }
  }

  /** Somebody who forgets, takes back, and cleans. */
  async #forgetter(): Promise<void> {
    await using box = await this.box();
    const gone = new Set<string>();
    while (!this.#isOver) {
      const dice = this.#random();
      const known = this.attempts.flatMap(({ id }) => (id === undefined || gone.has(id) ? [] : [id]));
      if (dice < 0.5 && known.length > 0) {
        const some = new Set(Array.from({ length: 3 }, () => this.#pick(known)));
        for (const id of some) this.mayBeGone.add(id);
        const { ran } = await this.#keep(box, 'forget', ...some, '--yes');
        if (ran.code === 0) for (const id of some) gone.add(id);
      } else if (dice < 0.65 && gone.size > 0) {
        const id = this.#pick([...gone]);
        const { ran } = await this.#keep(box, 'forget', '--undo', id);
        if (ran.code === 0) gone.delete(id);
      } else if (dice > 0.65) {
        await this.#clean(box, gone);
      }
      await delay(this.#random() * 500);
    }
  }

  async #pruner(): Promise<void> {
    await using box = await this.box();
    while (!this.#isOver) {
      const unused = this.#random() < 0.5 ? '0%' : '5%';
      await this.#keep(box, 'prune', '--grace', this.#options.grace, '--max-unused', unused);
      await delay(this.#random() * 500);
    }
  }

  async #keep(box: Sandbox, ...args: string[]): Promise<Ended> {
    const killAfterMs = this.#processes.killTime(0.25, this.#usualMs);
    const ended = await this.#processes.run(box, args, { env: trialEnv, killAfterMs });
    if (ended.ran.code === 0 && args[0] === 'prune')
      this.#usualMs = (this.#usualMs * 3 + ended.elapsedMs) / 4;
    this.#judge(ended, mayBeRefused, args[0] ?? '');
    return ended;
  }

  #pick(ids: readonly string[]): string {
    return ids[Math.floor(this.#random() * ids.length)] ?? '';
  }

  /** What is gone then has so many newer ones, of those that were begun by its end. */
  async #clean(box: Sandbox, gone: Set<string>): Promise<void> {
    const writer = Math.floor(this.#random() * this.#options.writers);
    const { ran } = await this.#keep(box, 'clean', '--source', `w${writer}`, '--yes');
    const own = this.attempts.filter((attempt) => attempt.writer === writer);
    for (const { id } of own.slice(0, -keptByClean)) if (id !== undefined) this.mayBeGone.add(id);
    const { plan = [] }: CleanPlan = ran.code === 0 ? (ran.lines().at(-1) ?? {}) : {};
    for (const { id, action } of plan) if (action === 'forget') gone.add(id);
  }

  #judge({ ran, killed, code }: Ended, allowed: ReadonlySet<string>, what: string): void {
    if (killed || ran.code === 0 || (code !== undefined && allowed.has(code))) return;
    this.unexpected.push(
      `${what} ended with ${ran.code}: ${ran.stdout.slice(-1500)}${ran.stderr.slice(-1500)}`,
    );
  }
}

/** A home, and a cache, of its own, with the configuration that all have: so many sources, and a rule of retention. */
export async function trialBox(
  settings: string,
  { writers }: Pick<TrialOptions, 'writers'>,
): Promise<Sandbox> {
  const box = await sandbox();
  const sources = Array.from(
    { length: writers },
    (_, writer) => `  w${writer}: { type: files, paths: [tree] }\n`,
  );
  const retention = `retention: { keep_last: ${keptByClean} }\n`;
  await writeFile(box.at('holdfast.yaml'), `${settings}sources:\n${sources.join('')}${retention}`);
  return box;
}
