import { Semaphore } from '../../../kernel/queue.ts';
import { parseRelationPath } from '../../../postgres/data-directory.ts';
import type { BackupContext } from '../../port.ts';
import type { EarlierFile, EarlierFiles } from './earlier.ts';
import type { ServerFacts } from './facts.ts';
import type { PageRules } from './page-reader.ts';
import { storeInParts } from './parts.ts';
import { lsnWords, type LsnWords } from './rule.ts';
import { storeModule, type FileToStore, type StoredFile } from './store-task.ts';
import type { Found } from './walk.ts';

/** One thing that was found, and what is done about it. */
export interface Slot {
  readonly found: Found;
  /** `seen` costs nothing more; `kept` is as the parent has it, unread. */
  how: 'seen' | 'kept' | 'read';
  readonly before: EarlierFile | undefined;
  stored?: StoredFile;
}

/** One unit holds so many files or bytes to read, and at least one file. */
const filesInUnit = 512;
const bytesInUnit = 8 * 1024 * 1024;
/** A segment of so many parts is a large one. */
const fewestParts = 4;

/** What the reading of all files shares. */
export interface ReadSetting {
  readonly dataDirectory: string;
  readonly facts: ServerFacts;
  readonly startLsn: bigint;
  readonly parentStartLsn: bigint | null;
  /** A large segment is stored in parts of so many bytes. */
  readonly partBytes: number;
}

/** Gathers what is found into units, deciding about each file what has to be read of it. */
export async function* unitsOf(
  walk: AsyncIterable<Found>,
  earlier: EarlierFiles | undefined,
  context: Pick<BackupContext, 'keep'>,
): AsyncGenerator<readonly Slot[], void, void> {
  let slots: Slot[] = [];
  let bytes = 0;
  for await (const found of walk) {
    const slot = await slotOf(found, earlier);
    const reads = slot.how === 'read' ? found.size : 0;
    if (slots.length > 0 && (slots.length >= filesInUnit || bytes + reads > bytesInUnit)) {
      yield await withKept(slots, context);
      slots = [];
      bytes = 0;
    }
    slots.push(slot);
    bytes += reads;
  }
  if (slots.length > 0) yield await withKept(slots, context);
}

async function slotOf(found: Found, earlier: EarlierFiles | undefined): Promise<Slot> {
  if (found.kind === 'directory') return { found, how: 'seen', before: undefined };
  const before = await earlier?.find(found);
  const isKept = before !== undefined && earlier?.isUntouched(found, before) === true;
  return { found, how: isKept ? 'kept' : 'read', before };
}

/** What is to be kept must still be stored. */
async function withKept(
  slots: readonly Slot[],
  context: Pick<BackupContext, 'keep'>,
): Promise<readonly Slot[]> {
  const hoped = slots.filter(({ how }) => how === 'kept');
  if (hoped.length === 0) return slots;
  const streams = hoped.map(({ before }) =>
    [before?.stream, before?.stamps].filter((stream) => stream !== null && stream !== undefined),
  );
  const answers = (await context.keep(streams.flat())).values();
  for (const [index, slot] of hoped.entries()) {
    const all = (streams[index] ?? []).map(() => answers.next().value === true);
    if (!all.every(Boolean)) slot.how = 'read';
  }
  return slots;
}

/** Has the files of units read by tasks, a few at once. */
export class UnitReader {
  readonly #setting: ReadSetting;
  readonly #context: BackupContext;
  readonly #signal: AbortSignal;
  readonly #places: Semaphore;
  readonly #onProgress: (bytes: number) => void;

  constructor(
    setting: ReadSetting,
    context: BackupContext,
    signal: AbortSignal,
    onProgress: (bytes: number) => void,
  ) {
    this.#setting = setting;
    this.#context = context;
    this.#signal = signal;
    this.#onProgress = onProgress;
    // One more than can run, so that no worker waits for the main thread.
    this.#places = new Semaphore(context.jobs + 1);
  }

  async read(slots: readonly Slot[]): Promise<readonly Slot[]> {
    const wanted = slots.filter(({ how }) => how === 'read');
    if (wanted.length === 0) return slots;
    const files = wanted.map((slot) => this.#fileOf(slot));
    const [alone] = wanted;
    if (wanted.length === 1 && alone !== undefined && (await this.#inParts(alone, files[0]))) return slots;
    using _place = await this.#places.acquire(this.#signal);
    const { dataDirectory } = this.#setting;
    const results = await this.#context.run(
      storeModule,
      { dataDirectory, files },
      { signal: this.#signal, onProgress: this.#onProgress },
    );
    for (const [index, slot] of wanted.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error(`${slot.found.path} was forgotten`);
      slot.stored = result;
    }
    return slots;
  }

  /** Stores a large segment; false when this is none. */
  async #inParts(slot: Slot, file: FileToStore | undefined): Promise<boolean> {
    const { dataDirectory, partBytes } = this.#setting;
    const { path, size } = slot.found;
    if (file?.pages === undefined || file.pages === null) return false;
    if (size < partBytes * fewestParts || this.#context.jobs < 2) return false;
    slot.stored = await storeInParts(
      { dataDirectory, path, size, rules: file.pages, previous: file.previous, partBytes },
      {
        context: this.#context,
        signal: this.#signal,
        places: this.#places,
        onProgress: this.#onProgress,
      },
    );
    return true;
  }

  #fileOf({ found: { path }, before }: Slot): FileToStore {
    const pages = pageRulesOf(path, this.#setting);
    const hasPages = pages !== null && before !== undefined && before.stamps !== null;
    return { path, pages, previous: hasPages ? { stream: before.stream, stamps: before.stamps } : null };
  }
}

/** Null for a file that has no pages to tell apart. */
export function pageRulesOf(
  path: string,
  setting: Pick<ReadSetting, 'startLsn' | 'parentStartLsn'> & {
    readonly facts: Pick<ServerFacts, 'pageBytes' | 'dataChecksums' | 'segmentPages'>;
  },
): PageRules | null {
  const { facts, startLsn, parentStartLsn } = setting;
  const relation = parseRelationPath(path);
  if (relation === undefined) return null;
  const parentStart: LsnWords | null = parentStartLsn === null ? null : lsnWords(parentStartLsn);
  return {
    pageBytes: facts.pageBytes,
    checksums: facts.dataChecksums,
    start: lsnWords(startLsn),
    parentStart,
    firstBlock: relation.segment * facts.segmentPages,
  };
}
