import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BackupView } from '../../src/app/backup-view.ts';
import { amountsOf, share } from '../../src/cli/amounts.ts';

const of = (bytes: number, read: number, added: number, fresh: number): string =>
  amountsOf({ bytes, bytes_read: read, bytes_added: added, bytes_new: fresh } as BackupView);

describe('what a backup says of itself', () => {
  it('is its size, as list and size show it, and what of it is new', () => {
    // Of PostgreSQL more is read than is kept, of SQLite a little less.
    assert.equal(of(14_050_000, 15_100_000, 3379, 5620), '13.4 MiB, 3.3 KiB stored, 0.04% of it new');
    assert.equal(of(452_301, 450_560, 1024, 452_301), '441.7 KiB, 1.0 KiB stored, all of it new');
    assert.equal(
      of(1_048_576, 1024, 2048, 2048),
      '1.0 MiB, 1.0 KiB of it read, 2.0 KiB stored, 0.2% of it new',
    );
  });

  it('never says that nothing was written', () => {
    assert.equal(of(1024, 1024, 0, 0), '1.0 KiB, nothing new to store');
    assert.equal(of(0, 0, 300, 10), '0 B, 300 B stored');
  });

  it('gives shares in two digits', () => {
    const shares = [1.2, 1, 0.996, 0.5, 0.0123, 0.000_378, 0.000_01, 0].map(share);
    assert.deepEqual(shares, ['all', 'all', '100%', '50%', '1.2%', '0.038%', 'less than 0.01%', 'nothing']);
  });
});
