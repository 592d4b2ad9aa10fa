import type { BackupContext } from '../../../port.ts';
import type { EarlierFile } from '../earlier.ts';
import { EarlierStretches } from '../earlier-stretches.ts';
import { earlierModule } from '../earlier-task.ts';
import { guardPieceBytes } from '../guard-task.ts';
import { joinModule } from '../join-task.ts';
import type { PageRules } from '../page-reader.ts';
import type { EarlierStretch } from '../store-pages.ts';
import type { StoredContent } from '../store-task.ts';
import { chosen, type GuardChoice } from '../survey.ts';
import { gatheredModule, type StoredGathered } from './gathered-task.ts';
import { Gathering } from './gathering.ts';
import { laneBytes, Lanes, type Lane } from './lane.ts';
import type { Compared } from './sample.ts';
import { stretchModule, type StoredStretch } from './stretch-task.ts';

/** A file of the data directory that comes. */
export interface ComingFile {
  /** In the data directory. */
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  /** Null for a file that has no pages to tell apart. */
  readonly rules: PageRules | null;
  /** What the parent has of it. */
  readonly before: EarlierFile | undefined;
  readonly data: AsyncIterable<Uint8Array>;
}

export type AboutFile = Omit<ComingFile, 'data'>;

export interface FileStoringOptions {
  readonly context: BackupContext;
  readonly signal: AbortSignal;
  readonly sample: GuardChoice;
  /** In any order. */
  readonly onStored: (about: AboutFile, content: StoredContent, compared: Compared) => void;
  readonly onProgress: (bytes: number) => void;
  /** Something failed: nothing more has to come. */
  readonly onFailed: (error: unknown) => void;
}

/** Hands what comes to workers: small files many together, large ones in stretches, so that several work on one. */
export class FileStoring {
  readonly #options: FileStoringOptions;
  readonly #lanes: Lanes;
  readonly #underWay = new Set<Promise<void>>();
  #gathering: Gathering<AboutFile> | undefined;

  constructor(options: FileStoringOptions) {
    this.#options = options;
    // What the workers have, and one that is filled meanwhile.
    this.#lanes = new Lanes(options.context.jobs + 1);
  }

  /** Resolves when the file has come, and there is room for the next. */
  async add({ data, ...about }: ComingFile): Promise<void> {
    if (about.size > laneBytes) await this.#addLarge(about, data);
    else await this.#addSmall(about, data);
  }

  /** Resolves when all are stored. What failed was told. */
  async finish(): Promise<void> {
    this.#sendGathered();
    await this.settled();
  }

  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  #track(work: Promise<unknown>): void {
    const tracked: Promise<void> = work
      .then(
        () => undefined,
        (error: unknown) => this.#options.onFailed(error),
      )
      .finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  async #addSmall(about: AboutFile, data: AsyncIterable<Uint8Array>): Promise<void> {
    const { path, size, rules, before } = about;
    if (this.#gathering?.hasRoom(size) === false) this.#sendGathered();
    this.#gathering ??= new Gathering(await this.#lanes.take(this.#options.signal));
    const stamps = before?.stamps ?? null;
    const previous =
      rules === null || before === undefined || stamps === null ? null : { stream: before.stream, stamps };
    const sample = previous === null ? [] : chosen(about, this.#options.sample);
    await this.#gathering.add(size, data, { path, pages: rules, previous, sample }, about);
  }

  #sendGathered(): void {
    const gathering = this.#gathering;
    this.#gathering = undefined;
    if (gathering !== undefined) this.#track(this.#storeGathered(gathering));
  }

  async #storeGathered({ lane, files }: Gathering<AboutFile>): Promise<void> {
    using _lane = lane;
    const { context, signal, onProgress, onStored } = this.#options;
    const input = { memory: lane.memory, files: files.map(({ file }) => file) };
    const results: readonly StoredGathered[] = await context.run(gatheredModule, input, {
      signal,
      onProgress,
    });
    for (const [index, { about }] of files.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error(`${about.path} was forgotten`);
      const { compared, ...content } = result;
      onStored(about, content, compared);
    }
  }

  async #addLarge(about: AboutFile, data: AsyncIterable<Uint8Array>): Promise<void> {
    // So that its lane comes back.
    this.#sendGathered();
    const { context, signal } = this.#options;
    const { rules, before } = about;
    const stamps = before?.stamps ?? null;
    const earlier =
      rules === null || before === undefined || stamps === null
        ? null
        : await context.run(earlierModule, { stream: before.stream, stamps }, { signal });
    const stretches = new LargeFile(about, this.#options, earlier, (work) => this.#track(work));
    let lane: Lane | undefined;
    let used = 0;
    try {
      for await (const piece of data) {
        for (let at = 0; at < piece.length;) {
          lane ??= await this.#lanes.take(signal);
          const part = piece.subarray(at, at + laneBytes - used);
          lane.bytes.set(part, used);
          used += part.length;
          at += part.length;
          if (used < laneBytes) continue;
          await stretches.send(lane, used);
          lane = undefined;
          used = 0;
        }
      }
      if (lane !== undefined) await stretches.send(lane, used);
      lane = undefined;
    } finally {
      lane?.[Symbol.dispose]();
    }
    this.#track(stretches.finish());
  }
}

/** A file whose stretches are stored apart. */
class LargeFile {
  readonly #about: AboutFile;
  readonly #options: FileStoringOptions;
  readonly #earlier: EarlierStretches | null;
  readonly #track: (work: Promise<unknown>) => void;
  readonly #sample: readonly number[];
  readonly #stretches: Promise<StoredStretch>[] = [];
  #at = 0;

  constructor(
    about: AboutFile,
    options: FileStoringOptions,
    earlier: EarlierStretch | null,
    track: (work: Promise<unknown>) => void,
  ) {
    this.#about = about;
    this.#track = track;
    this.#options = options;
    const { rules } = about;
    this.#earlier =
      earlier === null || rules === null ? null : new EarlierStretches(earlier, rules.pageBytes);
    this.#sample = this.#earlier === null ? [] : chosen(about, options.sample);
  }

  /** Resolves when the task is on its way. */
  async send(lane: Lane, length: number): Promise<void> {
    const from = this.#at;
    this.#at += length;
    let before: EarlierStretch | null = null;
    try {
      before = (await this.#earlier?.take(length)) ?? null;
    } catch (error) {
      lane[Symbol.dispose]();
      throw error;
    }
    const stretch = this.#store(lane, length, from, before);
    this.#track(stretch);
    this.#stretches.push(stretch);
  }

  async finish(): Promise<void> {
    const { context, signal, onStored } = this.#options;
    const stretches = await Promise.all(this.#stretches);
    const { rules, before } = this.#about;
    const joined = await context.run(
      joinModule,
      {
        extents: stretches.map(({ extents }) => extents),
        stamps: rules === null ? null : stretches.map(({ stamps }) => stamps),
        previousStamps: before?.stamps ?? null,
      },
      { signal },
    );
    const sum = (of: (stretch: StoredStretch) => number): number =>
      stretches.reduce((total, stretch) => total + of(stretch), 0);
    const content: StoredContent = {
      ...joined,
      pages: sum(({ pages }) => pages),
      pagesChanged: sum(({ pagesChanged }) => pagesChanged),
      bad: stretches.flatMap(({ bad }) => bad),
      badCount: sum(({ badCount }) => badCount),
    };
    const mismatch = stretches.find(({ compared }) => compared.mismatch !== null)?.compared.mismatch ?? null;
    onStored(this.#about, content, { pages: sum(({ compared }) => compared.pages), mismatch });
  }

  async #store(
    lane: Lane,
    length: number,
    from: number,
    before: EarlierStretch | null,
  ): Promise<StoredStretch> {
    using _lane = lane;
    const { context, signal, onProgress } = this.#options;
    const { rules } = this.#about;
    const first = from / guardPieceBytes;
    const pieces = laneBytes / guardPieceBytes;
    return await context.run(
      stretchModule,
      {
        memory: lane.memory,
        length,
        rules: rules === null ? null : rulesAt(rules, from),
        before,
        sample: this.#sample.map((piece) => piece - first).filter((piece) => piece >= 0 && piece < pieces),
      },
      { signal, onProgress },
    );
  }
}

/** Those of a stretch. */
function rulesAt(rules: PageRules, from: number): PageRules {
  return { ...rules, firstBlock: rules.firstBlock + from / rules.pageBytes };
}
