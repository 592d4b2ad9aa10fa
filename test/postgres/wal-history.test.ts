import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addToLsn, formatLsn, lsnOf, zeroLsn, type Lsn } from '../../src/postgres/lsn.ts';
import {
  canFollow,
  comesFrom,
  leftAt,
  parseTimelineHistory,
  timelineAt,
  timelinePath,
  timelinesOfSegment,
  type TimelineHistory,
} from '../../src/postgres/wal/history.ts';

const segmentBytes = 1 << 24;

/** Steps from one timeline to the next: how many numbers, and how many bytes. */
const histories = fc
  .array(
    fc.record({
      step: fc.integer({ min: 1, max: 5 }),
      bytes: fc.oneof(fc.constant(0n), fc.bigInt({ min: 1n, max: 1n << 34n })),
      reason: fc.constantFrom('no recovery target specified', 'before 2026-01-02 03:04:05+00', ''),
    }),
    { maxLength: 8 },
  )
  .map((steps): TimelineHistory => {
    let timeline = 0;
    let end: Lsn = zeroLsn;
    const ancestors = steps.map(({ step, bytes, reason }) => {
      timeline += step;
      end = addToLsn(end, bytes);
      return { timeline, end, reason };
    });
    return { timeline: timeline + 1, ancestors };
  });

function asFile({ ancestors }: TimelineHistory): string {
  return ancestors
    .map(({ timeline, end, reason }) => `${timeline}\t${formatLsn(end)}\t${reason}\n`)
    .join('\n');
}

test('what a server writes is read as it is, comments and empty lines passed over', () => {
  fc.assert(
    fc.property(histories, (history) => {
      const text = `# a comment\n\n${asFile(history)}`;
      assert.deepEqual(parseTimelineHistory(history.timeline, text), history);
      assert.deepEqual(parseTimelineHistory(history.timeline, Buffer.from(text)), history);
    }),
  );
});

test('what is no history is refused with the line', () => {
  const bad: [string, RegExp][] = [
    ['1\t0/5000000\tx\nrubbish\n', /^line 2 of the history of timeline 4 is not a timeline.*"rubbish"/],
    ['1\t5000000\tx\n', /^line 1/],
    ['-1\t0/5000000\tx\n', /^line 1/],
    ['1\n', /^line 1/],
    ['0\t0/5000000\tx\n', /^line 1/],
    ['4\t0/5000000\tx\n', /a timeline that is not older/],
    ['2\t0/5000000\tx\n1\t0/6000000\ty', /^line 2 .*not newer than the one before/],
    ['1\t0/5000000\tx\n2\t0/4000000\ty', /^line 2 .*a position before the one above/],
    [`${'z'.repeat(5000)}\n`, /z…"$/],
  ];
  for (const [text, message] of bad) {
    assert.throws(
      () => parseTimelineHistory(4, text),
      (error: Error) => message.test(error.message) && error.message.length < 300,
      text.slice(0, 50),
    );
  }
  assert.deepEqual(parseTimelineHistory(1, ''), { timeline: 1, ancestors: [] });
});

test('the parts of a way lie behind one another, and every position is of the timeline of its part', () => {
  fc.assert(
    fc.property(histories, fc.bigInt({ min: 0n, max: 1n << 37n }), (history, from) => {
      const path = timelinePath(history, lsnOf(from));
      assert.equal(path[0]?.start, from);
      assert.equal(path.at(-1)?.timeline, history.timeline);
      assert.equal(path.at(-1)?.end, undefined);
      for (const [index, { timeline, start, end }] of path.entries()) {
        assert.ok(comesFrom(history, timeline));
        assert.equal(timelineAt(history, start), timeline);
        if (end === undefined) continue;
        assert.ok(start < end);
        assert.equal(timelineAt(history, lsnOf(end - 1n)), timeline);
        assert.equal(leftAt(history, timeline), end);
        assert.equal(path[index + 1]?.start, end);
      }
    }),
  );
});

test('a server may follow as long as it has not gone beyond where its timeline was left', () => {
  fc.assert(
    fc.property(histories, fc.integer({ min: 1, max: 60 }), (history, timeline) => {
      const left = leftAt(history, timeline);
      const isOwn = timeline === history.timeline;
      assert.equal(comesFrom(history, timeline), isOwn || left !== undefined);
      assert.equal(canFollow(history, timeline, left ?? zeroLsn), isOwn || left !== undefined);
      if (left !== undefined) assert.equal(canFollow(history, timeline, addToLsn(left, 1)), false);
    }),
  );
});

test('a segment is read from the newest timeline that has any of it', () => {
  fc.assert(
    fc.property(histories, fc.nat(3000), (history, number) => {
      const start = lsnOf(BigInt(number) * BigInt(segmentBytes));
      const timelines = timelinesOfSegment(history, start, segmentBytes);
      assert.equal(timelines[0], timelineAt(history, addToLsn(start, segmentBytes - 1)));
      assert.equal(timelines.at(-1), timelineAt(history, start));
      assert.deepEqual(
        timelines,
        timelines.toSorted((a, b) => b - a),
      );
    }),
  );
  const history = parseTimelineHistory(3, '1\t0/5000028\tx\n2\t0/5000100\ty\n');
  assert.deepEqual(timelinesOfSegment(history, lsnOf(0x500_0000n), segmentBytes), [3, 2, 1]);
  assert.deepEqual(timelinesOfSegment(history, lsnOf(0x400_0000n), segmentBytes), [1]);
  assert.deepEqual(timelinesOfSegment(history, lsnOf(0x600_0000n), segmentBytes), [3]);
});
