import type { StatementSync } from 'node:sqlite';

/** So many ids are held in memory, some 100 bytes each; when there are more, all go into the table. */
const heldIds = 131_072;

/**
 * The ids of blobs that a session has claimed. The newest are in memory, for a statement for each would cost more than
 * all else that is done about a small file; the others in a temporary table.
 */
export class ClaimedIds {
  readonly #insert: StatementSync;
  readonly #find: StatementSync;
  readonly #held = new Set<string>();
  #spilled = false;

  /** `insert` an id, which may be there, and `find` one. */
  constructor(insert: StatementSync, find: StatementSync) {
    this.#insert = insert;
    this.#find = find;
  }

  /** True when it is new. To be called in a transaction, which makes spilling cheap. */
  add(id: Uint8Array): boolean {
    const key = Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1');
    if (this.#held.has(key) || (this.#spilled && this.#find.get(id) !== undefined)) return false;
    this.#held.add(key);
    if (this.#held.size >= heldIds) this.#spill();
    return true;
  }

  #spill(): void {
    for (const key of this.#held) this.#insert.run(Buffer.from(key, 'latin1'));
    this.#held.clear();
    this.#spilled = true;
  }
}
