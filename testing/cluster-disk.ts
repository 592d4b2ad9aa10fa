import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PageBuffer } from '../src/postgres/page/checksum.ts';
import { entryKinds } from '../src/sources/postgres-cluster/metadata.ts';
import type { MemoryBackup } from './memory-backup.ts';
import type { PostgresServer } from './postgres-server.ts';

/** Settings under which nothing is written to files unless it is asked for. */
export const quietSettings = {
  autovacuum: 'off',
  checkpoint_timeout: '1h',
  bgwriter_lru_maxpages: '0',
  max_wal_size: '4GB',
} as const;

/** Every relation of a backup must be what is on the disk of a server that writes nothing; gives how many there are. */
export function assertAsOnDisk(memory: MemoryBackup, server: PostgresServer): number {
  let relations = 0;
  for (const { path, kind } of memory.entries) {
    if (kind !== entryKinds.relation && !(kind === entryKinds.file && /^(?:base|pg_tblspc)\//.test(path)))
      continue;
    relations += 1;
    const disk = readFileSync(join(server.dataDirectory, path));
    const stored = memory.content(path);
    if (!stored.equals(disk))
      assert.fail(`${path} differs at ${firstDifference(stored, disk)} of ${disk.length}`);
  }
  return relations;
}

function firstDifference(one: Buffer, other: Buffer): string {
  const at = one.findIndex((byte, index) => byte !== other[index]);
  return at < 0 ? `its length (${one.length})` : `byte ${at}, block ${Math.floor(at / 8192)}`;
}

/** Makes every file look as if it had been written an hour ago. */
export function ageFiles(directory: string): void {
  const then = new Date(Date.now() - 3_600_000);
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, name);
    if (statSync(path).isFile()) utimesSync(path, then, then);
  }
}

/** Where the first segment of a table lies, in the data directory. */
export async function fileOf(server: PostgresServer, table: string, database = 'postgres'): Promise<string> {
  return await server.psql(`SELECT pg_relation_filepath('${table}')`, database);
}

/** Changes a page in a file, by hand. With the server stopped. */
export function changePage(
  server: PostgresServer,
  path: string,
  block: number,
  change: (page: Buffer) => void,
): void {
  const file = join(server.dataDirectory, path);
  const bytes = readFileSync(file);
  change(bytes.subarray(block * 8192, (block + 1) * 8192));
  writeFileSync(file, bytes);
}

/** The checksum a page should have. */
export function checksumOf(page: Buffer, block: number): number {
  const buffer = new PageBuffer(8192, 8192);
  buffer.bytes.set(page);
  return buffer.checksums(0, 1, block)[0] ?? 0;
}

/** Gives the page its right checksum. */
export function sealPage(page: Buffer, block: number): void {
  page.writeUInt16LE(checksumOf(page, block), 8);
}

/** Other bytes in a page, with the same checksum as before. */
export function forgePage(page: Buffer, block: number): void {
  const wanted = checksumOf(page, block);
  const at = page.length - 8;
  const buffer = new PageBuffer(8192, 8192);
  buffer.bytes.set(page);
  const before = page.readUInt32LE(at);
  for (let value = 1; value < 10_000_000; value += 1) {
    if (value === before) continue;
    buffer.bytes.writeUInt32LE(value, at);
    if (buffer.checksums(0, 1, block)[0] !== wanted) continue;
    page.writeUInt32LE(value, at);
    return;
  }
  assert.fail('no other page has this checksum');
}
