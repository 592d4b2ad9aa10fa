import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BackupView } from '../../src/app/backup-view.ts';
import type { PlaceStatus } from '../../src/app/status/places.ts';
import type { SourceStatus } from '../../src/app/status/sources.ts';
import { amissIn, type Health } from '../../src/app/status/verdict.ts';
import { failure } from '../../src/kernel/errors/failure.ts';

const good = { id: 'a'.repeat(32) } as BackupView;

const well: SourceStatus = {
  source: 'main',
  kind: 'postgres-cluster',
  configured: true,
  last_good: good,
  incomplete: null,
  age_seconds: 10,
  max_age_seconds: null,
  expected_before: null,
  late: false,
  wal: null,
};
const place: PlaceStatus = {
  name: 'nas',
  location: '/nas',
  primary: false,
  reachable: true,
  error: null,
  backups: 1,
  newest: null,
  behind: { backups: 0, ids: [] },
  forgotten: 0,
  waiting: [],
  verification: null,
  sizes: null,
  cost: null,
};
const healthy: Health = { sources: [well], places: [place], verification: null, unreadable: [] };

const levels = (health: Partial<Health>): string[] =>
  amissIn({ ...healthy, ...health }).map(({ level, about }) => `${level} ${about}`);

describe('what is amiss', () => {
  it('is nothing where all is well, and nothing about sources that are in the settings no longer', () => {
    assert.deepEqual(levels({}), []);
    assert.deepEqual(levels({ sources: [{ ...well, configured: false, last_good: null }] }), []);
  });

  it('is critical where a disaster would hurt, and comes first', () => {
    const error = failure('wal_unrecoverable', { source: 'main', count: '1 backup' }).toJSON();
    const wal = { windows: [], stored_at: null, gaps: 1, error };
    const incomplete = { id: 'b'.repeat(32), started_at: '2026-11-22T00:00:00.000Z', reason: 'a file' };
    assert.deepEqual(levels({ sources: [{ ...well, incomplete, wal }], unreadable: ['c'.repeat(32)] }), [
      'critical main',
      'warning main',
      'warning cccccccc',
    ]);
    assert.deepEqual(levels({ sources: [{ ...well, late: true, max_age_seconds: 5 }] }), ['critical main']);
    const unusable = { ...place, reachable: false, error, behind: null };
    assert.deepEqual(
      levels({
        places: [
          { ...unusable, name: 'a' },
          { ...unusable, primary: true },
        ],
      }),
      ['critical nas', 'warning a'],
    );
    assert.deepEqual(levels({ places: [{ ...place, behind: { backups: 2, ids: [] } }] }), ['warning nas']);
  });
});
