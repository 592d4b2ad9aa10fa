#!/usr/bin/env node
//
// holdfast-restore.mjs: gets your data out of a Holdfast repository when nothing else is left.
//
// WHAT YOU NEED
//
//   1. This file. It needs nothing else of Holdfast, and nothing from any package registry.
//   2. Node.js 24.7 or newer (https://nodejs.org): node --version
//   3. A local copy of the repository: the directory that has holdfast.json, keys/, packs/ and snapshots/ in it. From
//      object storage, copy the whole bucket or prefix: aws s3 sync s3://BUCKET/PREFIX ./repository
//   4. The passphrase, or the key file that stood in for it. Without it nobody can read an encrypted repository.
//
// WHAT TO TYPE
//
//   node holdfast-restore.mjs list    REPOSITORY                  which backups there are
//   node holdfast-restore.mjs info    REPOSITORY ID               what is in one of them
//   node holdfast-restore.mjs restore REPOSITORY ID --to DIR      get it back, into a new or empty directory
//   node holdfast-restore.mjs check   REPOSITORY [ID]             read and check all that a restore would read
//   node holdfast-restore.mjs wal     REPOSITORY SOURCE NAME FILE a file of WAL, for PostgreSQL's restore_command
//
//   ID is the beginning of an id that `list` shows, or latest, or latest:SOURCE. More: node holdfast-restore.mjs --help
//
//   Each command takes --passphrase-file FILE (its first line counts). Without it: HOLDFAST_PASSPHRASE, then
//   HOLDFAST_PASSPHRASE_FILE, then a key file REPOSITORY-ID.key in the current directory, beside this file or in
//   ~/.config/holdfast/keys, then it is asked for.
//
// WHAT IT PROMISES
//
//   It never writes to the repository. Every byte that it gives out was authenticated. What is damaged is named, on
//   standard error and in holdfast-damage.txt; it costs what it hit, and the rest is restored. Exit code: 0 all is well,
//   3 a part could not be had, 1 nothing could, 2 the command was wrong. (wal: 0, 1 not there, 126 anything else.)
//   It says that it is done when all is on the disk.
//
// WHERE THE FORMAT IS DESCRIBED
//
//   docs/format.md of Holdfast; this file was written from that page alone and follows its order. Read it from top to
//   bottom: 1 words, 2 cryptography, 3 opening the repository, 4 where the chunks are, 5 reading chunks and streams,
//   6 backups, 7 WAL, 8 writing files, 9 restoring each kind of backup, 10 commands.

import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import zlib from 'node:zlib';

// ======================================================================================================================
// 1. WORDS
// ======================================================================================================================

const usage = `node holdfast-restore.mjs COMMAND REPOSITORY …    (REPOSITORY: a local copy, the directory with holdfast.json)

  list    REPOSITORY                   the backups, oldest first, and the WAL of PostgreSQL servers
  info    REPOSITORY ID                what a backup holds
  restore REPOSITORY ID --to DIRECTORY restore it into a new or empty directory
  check   REPOSITORY [ID]              read and authenticate all that a backup needs, or all backups and all WAL
  wal     REPOSITORY SOURCE NAME FILE  write one WAL segment or history file; SOURCE: name of a source, or id of an archive

  ID: the beginning of an id that list shows, or latest, or latest:SOURCE

  --passphrase-file FILE   the passphrase is the first line of this file (or HOLDFAST_PASSPHRASE, or it is asked for)

Of restore:
  --only PATH              only what has this path in the backup (info shows them), or lies below it; may be repeated
  --tablespace OID=DIR     where a tablespace of a PostgreSQL cluster goes; default: tablespaces/OID in DIRECTORY
  --recover                let a PostgreSQL cluster roll forward by the WAL in REPOSITORY, to its end or to --at
  --at TIME                as the cluster was at that moment: '2026-11-21 20:15:30+00', always with its time zone
  --timeline N             recover along that timeline instead of the latest one (with --recover)
`;

/** The command was wrong, or cannot be done like this. Nothing was changed. Exit code 2. */
class Misuse extends Error {}
/** Something of the repository is missing or is not as it was written. */
class Damage extends Error {}
/** There is no sense in going on: the disk is full, the passphrase opens nothing. */
class Stop extends Error {}

/** Names can hold anything, also what makes a terminal do things. */
const printable = (text) => text.replaceAll(/[^\P{Cc}\n]|[\u2028-\u202e]/gu, '?');
function say(text) {
  print(2, clearProgress());
  print(1, `${printable(text)}\n`);
}
/** Also of damage that costs nothing, because the same is there once more. */
const note = (text) => print(2, `${clearProgress()}${printable(text)}\n`);

/** Waits for a slow reader; one that has gone does not stop a restore. */
function print(fd, text) {
  for (let rest = Buffer.from(text); rest.length > 0;) {
    try {
      rest = rest.subarray(fs.writeSync(fd, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

/** What could not be had. Each is said once, at once, and kept in a file beside what is restored. */
const troubles = {
  count: 0,
  seen: new Set(),
  /** Of the restore that is under way. */
  file: null,
  add(text) {
    if (this.seen.has(text)) return;
    if (this.seen.size < 100_000) this.seen.add(text);
    this.count += 1;
    note(`DAMAGED: ${text}`);
    if (this.file !== null) fs.appendFileSync(this.file, `${printable(text)}\n`, { mode: 0o600 });
  },
};

/** What was restored, or found to be good, as it should be. */
let wholeThings = 0;

let progressShownAt = 0;
let progressBytes = 0;
function progress(bytes) {
  progressBytes += bytes;
  if (!process.stderr.isTTY || Date.now() - progressShownAt < 250) return;
  progressShownAt = Date.now();
  print(2, `\r\x1b[K${size(progressBytes)} read`);
}
function clearProgress() {
  if (progressShownAt === 0 || !process.stderr.isTTY) return '';
  return '\r\x1b[K';
}

function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
const reasonOf = (error) => (error instanceof Error ? error.message : String(error));

// ======================================================================================================================
// 2. CRYPTOGRAPHY (docs/format.md: Keys, Sealed objects)
// ======================================================================================================================

const sha256 = (bytes) => crypto.hash('sha256', bytes, 'buffer');
const hmac = (key, ...parts) => {
  const state = crypto.createHmac('sha256', key);
  for (const part of parts) state.update(part);
  return state.digest();
};
const hkdf = (key, salt, info, length) => Buffer.from(crypto.hkdfSync('sha256', key, salt, info, length));

const headerBytes = 64;
const tagBytes = 16;
const objectTypes = { pack: 1, index: 2, manifest: 3, wal: 4 };

/** A key of Curve25519 out of its 32 bytes, with what RFC 8410 puts before them. */
const x25519Private = (bytes) =>
  crypto.createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), bytes]),
    format: 'der',
    type: 'pkcs8',
  });
const x25519Public = (bytes) =>
  crypto.createPublicKey({
    key: Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), bytes]),
    format: 'der',
    type: 'spki',
  });

/** Sealed by an agent, which can add to a repository and read nothing; its indexes nobody believes. */
const agentSeal = 2;
const mayBeOfAgent = (repository, type) => repository.encrypted && type !== 'index';

/** The header that an object of this repository with that salt has. */
function headerWith(repository, type, salt, isOfAgent) {
  const header = Buffer.alloc(headerBytes);
  header.write('HOLDFAST', 0, 'latin1');
  header[8] = 1; // format
  header[9] = objectTypes[type];
  if (isOfAgent) header[10] = agentSeal;
  else header[10] = repository.encrypted ? 1 : 0;
  Buffer.from(repository.id, 'hex').copy(header, 12);
  salt.copy(header, 28);
  sha256(header.subarray(0, 60)).copy(header, 60, 0, 4);
  return header;
}

/** Throws unless these bytes begin with the header of such an object. Nothing is proven yet: that the seals do. */
function checkHeader(repository, type, bytes) {
  if (bytes.length < headerBytes) throw new Damage('it is shorter than a header');
  const header = bytes.subarray(0, headerBytes);
  const isOfAgent = header[10] === agentSeal && mayBeOfAgent(repository, type);
  if (header.equals(headerWith(repository, type, header.subarray(28, 60), isOfAgent))) return;
  if (header.toString('latin1', 0, 8) !== 'HOLDFAST')
    throw new Damage('it does not begin like an object of Holdfast');
  if (header[9] !== objectTypes[type]) throw new Damage(`it is no ${type}`);
  if (header.toString('hex', 12, 28) !== repository.id) throw new Damage('it belongs to another repository');
  throw new Damage('its header is damaged');
}

/** Opens the sections of one object, which has a key of its own. */
class Seal {
  #encrypted;
  #key;

  constructor(repository, header) {
    this.#encrypted = repository.encrypted;
    const info = Buffer.concat([Buffer.from('holdfast/1/object/'), header.subarray(0, headerBytes)]);
    const salt = header.subarray(28, 60);
    const secret = header[10] === agentSeal ? this.#agreed(repository, salt) : repository.sealKey;
    this.#key = hkdf(secret, salt, info, 32);
  }

  /** What only the agent that sealed it and the owner could compute: the salt is the public half of the agent's key. */
  #agreed(repository, salt) {
    const keys = { privateKey: x25519Private(repository.agentKey), publicKey: x25519Public(salt) };
    try {
      return Buffer.concat([crypto.diffieHellman(keys), repository.agentSecret]);
    } catch {
      throw new Damage('the key in its header is none');
    }
  }

  /** The data of a section that begins at `offset`; `stored` is the data and the tag. Throws unless all is as it was. */
  open(offset, additional, stored) {
    if (stored.length < tagBytes) throw new Damage('it is shorter than its tag');
    const data = stored.subarray(0, stored.length - tagBytes);
    const tag = stored.subarray(stored.length - tagBytes);
    const nonce = Buffer.alloc(12);
    nonce.writeBigUInt64LE(BigInt(offset), 4);
    if (!this.#encrypted) {
      const expected = hmac(this.#key, nonce, sha256(additional), sha256(data)).subarray(0, tagBytes);
      if (!expected.equals(tag)) throw new Damage('its bytes are not what was stored');
      return data;
    }
    const cipher = crypto.createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: tagBytes });
    cipher.setAAD(additional);
    cipher.setAuthTag(tag);
    const opened = cipher.update(data);
    try {
      cipher.final();
    } catch {
      throw new Damage('its bytes are not what was stored');
    }
    return opened;
  }
}

/** Codecs: 0 none, 1 zstd, 2 gzip. Never gives more than `plainLength` bytes. */
function unpack(codec, packed, plainLength) {
  const limit = { maxOutputLength: Math.max(64, plainLength) };
  let plain;
  try {
    if (codec === 0) plain = packed;
    else if (codec === 1) plain = zlib.zstdDecompressSync(packed, limit);
    else if (codec === 2) plain = zlib.gunzipSync(packed, limit);
    else throw new Damage(`it is packed in a way that is not known (${codec})`);
  } catch (error) {
    throw new Damage(`it does not unpack: ${reasonOf(error)}`);
  }
  if (plain.length !== plainLength)
    throw new Damage(`it unpacks to ${plain.length} bytes instead of ${plainLength}`);
  return plain;
}

const sectionHeaderBytes = 12;

/**
 * Reads the sections of an object one after another (manifests and indexes have one, WAL has many). Each begins with 12
 * bytes: kind, codec, 0 0, plain length, packed length. `name` is bound into the seals; empty for an index.
 */
class Sections {
  #bytes;
  #name;
  #seal;
  #at = headerBytes;

  constructor(repository, type, name, bytes) {
    checkHeader(repository, type, bytes);
    this.#bytes = bytes;
    this.#name = Buffer.from(name);
    this.#seal = new Seal(repository, bytes);
  }

  next(kind, maximumBytes) {
    const header = this.#bytes.subarray(this.#at, this.#at + sectionHeaderBytes);
    if (header.length < sectionHeaderBytes) throw new Damage('it ends too early');
    const plainLength = header.readUInt32LE(4);
    if (header[0] !== kind || plainLength > maximumBytes)
      throw new Damage('the header of a section is damaged');
    const end = this.#at + sectionHeaderBytes + header.readUInt32LE(8) + tagBytes;
    if (end > this.#bytes.length) throw new Damage('it ends too early');
    const stored = this.#bytes.subarray(this.#at + sectionHeaderBytes, end);
    const packed = this.#seal.open(this.#at, Buffer.concat([header, this.#name]), stored);
    this.#at = end;
    return unpack(header[1], packed, plainLength);
  }

  end() {
    if (this.#at !== this.#bytes.length) throw new Damage('bytes were added to it');
  }
}

/** The one section of a manifest, an index or `wal/about/…`. */
function openWhole(repository, type, name, bytes) {
  const sections = new Sections(repository, type, name, bytes);
  const contents = sections.next(0x51, 256 * 1024 * 1024);
  sections.end();
  return contents;
}

// ======================================================================================================================
// 3. OPENING THE REPOSITORY (docs/format.md: Plain JSON objects, Keys)
// ======================================================================================================================

/** JSON with the keys of every object in order and no white space: what check values and seals are computed over. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const keys = Object.keys(value).toSorted(); // by code units
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
}

/** A plain JSON object without its check value, and whether that is right: what follows proves more than it does. */
function readPlainJson(file) {
  const { check, ...fields } = JSON.parse(fs.readFileSync(file, 'utf8'));
  return { fields, isWhole: check === crypto.hash('sha256', canonical(fields), 'hex') };
}

/** An open repository: where it is, and its keys. */
class Repository {
  directory;
  id;
  encrypted;
  sealKey;
  agentKey;
  agentSecret;
  blobIdKey;
  walKey;

  constructor(directory, id, encrypted, master) {
    this.directory = directory;
    this.id = id;
    this.encrypted = encrypted;
    const subKey = (purpose) => hkdf(master, Buffer.from(id, 'hex'), `holdfast/1/${purpose}`, 32);
    this.sealKey = subKey('seal');
    this.agentKey = subKey('agent');
    this.agentSecret = subKey('agent-secret');
    this.blobIdKey = subKey('blob-id');
    this.walKey = subKey('wal');
    this.configKey = subKey('config');
  }

  /** The path of an object on this machine. */
  file(name) {
    return path.join(this.directory, ...name.split('/'));
  }

  /** Names of what is in a folder of the repository, sorted; none when it is not there. */
  names(folder) {
    try {
      return fs.readdirSync(this.file(folder)).toSorted();
    } catch (error) {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
      throw error;
    }
  }

  read(name) {
    return asDamage(() => fs.readFileSync(this.file(name)));
  }
}

async function openRepository(directory, passphraseFile) {
  const config = readConfig(directory);
  const keys = config.encrypted ? readKeys(directory) : [];
  let master;
  if (config.encrypted) {
    const { passphrase, where } = await findPassphrase(config.id, passphraseFile);
    master = unwrapMaster(config.id, keys, passphrase, where);
  } else {
    // Everybody can compute this key: it guards against accidents and hides nothing.
    master = crypto.hash('sha256', `holdfast/1/public/${config.id}`, 'buffer');
    if (passphraseFile !== undefined || process.env.HOLDFAST_PASSPHRASE)
      note('Note: a passphrase was given, but this repository is not encrypted. Is it the right one?');
  }
  const repository = new Repository(directory, config.id, config.encrypted, master);
  if (config.fields !== null) {
    const { mac, ...fields } = config.fields;
    if (hmac(repository.configKey, canonical(fields)).toString('hex') !== mac)
      note(
        'Note: holdfast.json was not written by who has the key. All else proves itself, so this goes on.',
      );
  }
  return repository;
}

/** What `holdfast.json` says. Where it is lost, the other objects tell enough. */
function readConfig(directory) {
  if (!fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory())
    throw new Misuse(`there is no directory ${directory}: name the directory that has holdfast.json in it`);
  let reason;
  try {
    const { fields, isWhole } = readPlainJson(path.join(directory, 'holdfast.json'));
    if (fields.holdfast !== 'repository') throw new Damage('it is something else');
    if (Number.isInteger(fields.format) && fields.format > 1)
      throw new Stop(`the repository has format ${fields.format}: a newer holdfast-restore.mjs is needed`);
    if (!isWhole) throw new Damage('it does not match its check value');
    if (fields.features.read.length > 0)
      throw new Stop(`the repository needs what this file does not know: ${fields.features.read.join(', ')}`);
    return { id: fields.id, encrypted: fields.encryption !== 'none', fields };
  } catch (error) {
    if (error instanceof Stop) throw error;
    reason = error.code === 'ENOENT' ? 'it is not there' : reasonOf(error);
  }
  const guess = guessConfig(directory);
  if (guess === null)
    throw new Misuse(`${directory} is no repository of Holdfast: holdfast.json cannot be used (${reason})`);
  note(`Note: holdfast.json cannot be used (${reason}). The other objects say the same, so this goes on.`);
  return guess;
}

/** The repository's id is in every key and in the header of every sealed object. */
function guessConfig(directory) {
  const [key] = readKeys(directory);
  if (key !== undefined) return { id: key.repository, encrypted: true, fields: null };
  for (const folder of ['snapshots', 'wal/about', 'index']) {
    const inside = path.join(directory, folder);
    for (const name of fs.existsSync(inside) ? fs.readdirSync(inside) : []) {
      const file = path.join(inside, name);
      if (!fs.statSync(file).isFile()) continue;
      const header = fs.readFileSync(file).subarray(0, headerBytes);
      const isHeader =
        header.toString('latin1', 0, 8) === 'HOLDFAST' &&
        sha256(header.subarray(0, 60)).subarray(0, 4).equals(header.subarray(60));
      if (isHeader) return { id: header.toString('hex', 12, 28), encrypted: header[10] !== 0, fields: null };
    }
  }
  return null;
}

function readKeys(directory) {
  const folder = path.join(directory, 'keys');
  const keys = [];
  for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
    try {
      const { fields, isWhole } = readPlainJson(path.join(folder, name));
      if (fields.holdfast !== 'key') throw new Damage('it is no key');
      if (!isWhole) note(`Note: keys/${name} does not match its check value; it is tried all the same.`);
      keys.push(fields);
    } catch (error) {
      note(`Note: keys/${name} cannot be used: ${reasonOf(error)}`);
    }
  }
  return keys;
}

/** The master key, out of the first key that the passphrase opens. */
function unwrapMaster(id, keys, passphrase, where) {
  const own = keys.filter(({ repository }) => repository === id);
  if (own.length === 0) throw new Stop('the repository is encrypted and has no usable key below keys/');
  for (const key of own) {
    try {
      return unwrap(key, passphrase);
    } catch {
      // Not this key's passphrase, or the key is damaged: there is no way to tell.
    }
  }
  throw new Stop(`the passphrase ${where} opens none of the ${plural(own.length, 'key')} of this repository`);
}

function unwrap({ wrapped, ...fields }, passphrase) {
  const { algorithm, memory_kib: memory, passes, parallelism, salt } = fields.kdf;
  // A forged key must not take all memory or time.
  if (!(memory <= 4_194_304 && passes <= 64 && parallelism <= 64)) throw new Damage('it costs too much');
  const message = Buffer.from(passphrase.normalize('NFC'));
  const nonce = Buffer.from(salt, 'base64');
  const wrappingKey = crypto.argon2Sync(algorithm, {
    message,
    nonce,
    memory,
    passes,
    parallelism,
    tagLength: 32,
  });
  const bytes = Buffer.from(wrapped, 'base64');
  const options = { authTagLength: tagBytes };
  const cipher = crypto.createDecipheriv('aes-256-gcm', wrappingKey, Buffer.alloc(12), options);
  cipher.setAAD(Buffer.from(canonical(fields)));
  cipher.setAuthTag(bytes.subarray(32));
  return Buffer.concat([cipher.update(bytes.subarray(0, 32)), cipher.final()]);
}

async function findPassphrase(id, passphraseFile) {
  const { env } = process;
  if (passphraseFile !== undefined)
    return { passphrase: firstLine(passphraseFile), where: `in ${passphraseFile}` };
  if (env.HOLDFAST_PASSPHRASE)
    return { passphrase: env.HOLDFAST_PASSPHRASE, where: 'in HOLDFAST_PASSPHRASE' };
  const file = env.HOLDFAST_PASSPHRASE_FILE;
  if (file) return { passphrase: firstLine(file), where: `in ${file} (HOLDFAST_PASSPHRASE_FILE)` };
  for (const folder of ['.', import.meta.dirname, path.join(os.homedir(), '.config/holdfast/keys')]) {
    const keyFile = path.join(folder, `${id}.key`);
    if (fs.existsSync(keyFile)) return { passphrase: firstLine(keyFile), where: `in ${keyFile}` };
  }
  if (!process.stdin.isTTY)
    throw new Misuse('the repository is encrypted: give --passphrase-file FILE, or set HOLDFAST_PASSPHRASE');
  return { passphrase: await askPassphrase('Passphrase: '), where: 'that was typed' };
}

function firstLine(file) {
  let text;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new Misuse(`the passphrase cannot be read from ${file}: ${reasonOf(error)}`);
  }
  return text
    .replace(/^\uFEFF/, '')
    .split('\n', 1)[0]
    .replace(/\r$/, '');
}

/** Reads a line from the terminal without showing it. */
async function askPassphrase(question) {
  const { stdin } = process;
  print(2, question);
  stdin.setEncoding('utf8');
  stdin.setRawMode(true);
  let typed = '';
  try {
    for await (const text of stdin) {
      for (const character of text) {
        if (character === '\r' || character === '\n' || character === '\u0004') return typed;
        if (character === '\u0003') throw new Stop('stopped');
        if (character === '\u007f' || character === '\b') typed = [...typed].slice(0, -1).join('');
        else if (character === '\u0015') typed = '';
        else typed += character;
      }
    }
    return typed;
  } finally {
    stdin.setRawMode(false);
    print(2, '\n');
  }
}

// ======================================================================================================================
// 4. WHERE THE CHUNKS ARE (docs/format.md: Packs, Indexes)
// ======================================================================================================================

const recordHeaderBytes = 44;
const rowBytes = 48;
const trailerBytes = 80;
const packsOpenAtOnce = 64;

/**
 * Which pack holds which chunk, and where: of each chunk the first 12 bytes of its id, the number of its pack and the
 * offset of its record; in one array of 20 bytes a slot that is never more than three quarters full. So it takes 27 to 53
 * bytes of memory for each chunk, and half as much again while it grows: 1 GB for 20 million chunks, which are some 600
 * GB of dumps or files. The whole id is compared when the chunk is read.
 */
class ChunkTable {
  static #words = 5;
  #slots = 1 << 12;
  #used = 0;
  #table = new Uint32Array(this.#slots * ChunkTable.#words);

  add(rows, at, packNumber, offset) {
    if (this.#used >= this.#slots * 0.75) this.#grow();
    const id = [rows.readUInt32LE(at), rows.readUInt32LE(at + 4), rows.readUInt32LE(at + 8)];
    this.#put(id[0], id[1], id[2], packNumber + 1, offset);
  }

  /** Every place of a chunk: the same one may have been stored more than once. */
  *places(id) {
    const [a, b, c] = [id.readUInt32LE(0), id.readUInt32LE(4), id.readUInt32LE(8)];
    for (let slot = a & (this.#slots - 1); ; slot = (slot + 1) & (this.#slots - 1)) {
      const at = slot * ChunkTable.#words;
      const pack = this.#table[at + 3];
      if (pack === 0) return;
      if (this.#table[at] === a && this.#table[at + 1] === b && this.#table[at + 2] === c)
        yield { packNumber: pack - 1, offset: this.#table[at + 4], slot };
    }
  }

  get slots() {
    return this.#slots;
  }

  #put(a, b, c, pack, offset) {
    const table = this.#table;
    for (let slot = a & (this.#slots - 1); ; slot = (slot + 1) & (this.#slots - 1)) {
      const at = slot * ChunkTable.#words;
      if (table[at + 3] === pack && table[at + 4] === offset) return; // known already
      if (table[at + 3] !== 0) continue;
      table[at] = a;
      table[at + 1] = b;
      table[at + 2] = c;
      table[at + 3] = pack;
      table[at + 4] = offset;
      this.#used += 1;
      return;
    }
  }

  #grow() {
    const old = this.#table;
    this.#slots *= 2;
    this.#table = new Uint32Array(this.#slots * ChunkTable.#words);
    this.#used = 0;
    for (let at = 0; at < old.length; at += ChunkTable.#words)
      if (old[at + 3] !== 0) this.#put(old[at], old[at + 1], old[at + 2], old[at + 3], old[at + 4]);
  }
}

/** The packs of a repository. */
class Packs {
  table = new ChunkTable();
  #repository;
  /** `{id, size, salt, isOfAgent}` by number; `size` null: an index knows it, and it is not there. */
  #packs = [];
  #numbers = new Map();
  /** The packs whose files are open, the one that was opened first first. */
  #open = new Map();
  #badIndexes = new Set();

  constructor(repository) {
    this.#repository = repository;
    for (const folder of repository.names('packs')) {
      if (!/^[0-9a-f]{2}$/.test(folder)) continue;
      for (const id of repository.names(`packs/${folder}`))
        if (/^[0-9a-f]{64}$/.test(id) && id.startsWith(folder))
          this.#number(id, fs.statSync(repository.file(`packs/${folder}/${id}`)).size);
    }
    const known = new Set();
    for (const pack of this.#indexed()) {
      const number = this.#numbers.get(pack.id) ?? this.#number(pack.id, null);
      if (known.has(number)) continue;
      known.add(number);
      const there = this.#packs[number];
      there.salt = pack.salt;
      there.isOfAgent = pack.isOfAgent;
      if (there.size !== null && there.size !== pack.size)
        note(`Note: ${this.nameOf(number)} has ${there.size} bytes instead of ${pack.size}.`);
      this.#addRows(number, pack.rows);
    }
    // Indexes are a cache: a pack that none of them mentions tells the same itself.
    for (const number of this.#packs.keys()) if (!known.has(number)) this.#askPack(number);
  }

  #number(id, bytes) {
    this.#numbers.set(id, this.#packs.length);
    this.#packs.push({ id, size: bytes, salt: null, isOfAgent: false });
    return this.#packs.length - 1;
  }

  nameOf(number) {
    const { id } = this.#packs[number];
    return `packs/${id.slice(0, 2)}/${id}`;
  }

  #addRows(number, rows) {
    for (let at = 0; at < rows.length; at += rowBytes)
      this.table.add(rows, at, number, rows.readUInt32LE(at + 36));
  }

  /** Every pack that the indexes tell of: id, salt (32 bytes each), size, number of rows (its highest bit: of an agent), and those. */
  *#indexed() {
    for (const name of this.#repository.names('index')) {
      let contents;
      try {
        contents = openWhole(this.#repository, 'index', '', this.#repository.read(`index/${name}`));
      } catch (error) {
        if (!this.#badIndexes.has(name))
          note(
            `Note: index/${name} cannot be used: ${reasonOf(error)}. It is only a cache: the packs tell the same.`,
          );
        this.#badIndexes.add(name);
        continue;
      }
      for (let at = 0; at + 72 <= contents.length;) {
        const count = contents.readUInt32LE(at + 68);
        const isOfAgent = count >= 0x8000_0000;
        const end = at + 72 + (isOfAgent ? count - 0x8000_0000 : count) * rowBytes;
        const rows = contents.subarray(at + 72, end);
        const salt = contents.subarray(at + 32, at + 64);
        const id = contents.toString('hex', at, at + 32);
        yield { id, salt, isOfAgent, size: contents.readUInt32LE(at + 64), rows };
        at = end;
      }
    }
  }

  /** Takes what a pack holds from its footer, or where that is damaged from its records. */
  #askPack(number) {
    const name = this.nameOf(number);
    try {
      const rows = this.#footer(number);
      if (rows !== null) this.#addRows(number, rows);
      else {
        note(`Note: the footer of ${name} is damaged; its records are looked through one by one.`);
        this.#addRows(number, this.#scan(number));
      }
    } catch (error) {
      // Whatever needs it is named then.
      note(`Note: ${name} cannot be used: ${reasonOf(error)}.`);
    }
  }

  /** The file of a pack, and what opens it. Its header stands at both its ends, and an index knows the salt in it. */
  open(number) {
    const known = this.#open.get(number);
    if (known !== undefined) return known;
    const { size: bytes, salt, isOfAgent } = this.#packs[number];
    const name = this.nameOf(number);
    if (bytes === null) throw new Damage(`${name} is not there`);
    const fd = asDamage(() => fs.openSync(this.#repository.file(name), 'r'));
    try {
      const copies = [readAt(fd, 0, headerBytes), readAt(fd, bytes - headerBytes, headerBytes)];
      if (salt !== null) copies.push(headerWith(this.#repository, 'pack', salt, isOfAgent));
      const whole = copies.filter((copy) => isGood(() => checkHeader(this.#repository, 'pack', copy)));
      if (whole.length === 0) throw new Damage('its header is damaged, and so is the copy of it');
      const pack = { fd, size: bytes, seal: new Seal(this.#repository, whole[0]) };
      if (this.#open.size >= packsOpenAtOnce) this.#closeOldest();
      this.#open.set(number, pack);
      return pack;
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  #closeOldest() {
    const [[number, { fd }]] = this.#open;
    fs.closeSync(fd);
    this.#open.delete(number);
  }

  /** The rows of the footer; null when it is damaged. */
  #footer(number) {
    const { fd, size: bytes, seal } = this.open(number);
    const trailer = readAt(fd, bytes - trailerBytes, trailerBytes);
    if (trailer.toString('latin1', 8, 16) !== 'HFPKTAIL') return null;
    const offset = trailer.readUInt32LE(0);
    const storedLength = trailer.readUInt32LE(4);
    if (offset + 12 + storedLength + trailerBytes !== bytes) return null;
    const footer = readAt(fd, offset, 12 + storedLength);
    try {
      const rows = seal.open(offset, footer.subarray(0, 12), footer.subarray(12));
      return rows.length === footer.readUInt32LE(4) * rowBytes ? rows : null;
    } catch {
      return null;
    }
  }

  /**
   * The rows of a pack whose footer is damaged. Records follow each other without gaps, so one leads to the next. Where
   * one does not, whatever looks like a record is one when it opens.
   */
  #scan(number) {
    const { fd, size: bytes, seal } = this.open(number);
    const pack = readAt(fd, 0, bytes);
    const rows = [];
    for (let at = headerBytes; at + recordHeaderBytes + tagBytes <= bytes;) {
      const header = pack.subarray(at, at + recordHeaderBytes);
      const end = at + recordHeaderBytes + header.readUInt32LE(8);
      const stored = pack.subarray(at + recordHeaderBytes, end);
      const isRecord =
        looksLikeRecord(header) &&
        end <= bytes &&
        (looksLikeRecord(pack.subarray(end)) || isGood(() => seal.open(at, header, stored)));
      if (!isRecord) {
        at += 1;
        continue;
      }
      const row = Buffer.alloc(rowBytes);
      header.copy(row, 0, 12, 44);
      row.writeUInt32LE(at, 36);
      rows.push(row);
      at = end;
    }
    return Buffer.concat(rows);
  }

  /**
   * The header of the record at `offset` as it should be, made anew from the footer or from an index: they have all that
   * is in it. Null when neither knows it.
   */
  recordHeader(number, offset) {
    const { id } = this.#packs[number];
    const sources = [
      () => this.#footer(number),
      () => this.#indexed().find((pack) => pack.id === id)?.rows ?? null,
    ];
    for (const source of sources) {
      const rows = source() ?? Buffer.alloc(0);
      for (let at = 0; at < rows.length; at += rowBytes) {
        if (rows.readUInt32LE(at + 36) !== offset) continue;
        const header = Buffer.alloc(recordHeaderBytes);
        header[0] = 0xb1;
        header[1] = rows[at + 32];
        header[2] = rows[at + 33];
        rows.copy(header, 4, at + 40, at + 48);
        rows.copy(header, 12, at, at + 32);
        return header;
      }
    }
    return null;
  }
}

/** Kind 0xB1, blob type 1 to 3, codec 0 to 2, a zero. */
const looksLikeRecord = (bytes) =>
  bytes.length >= recordHeaderBytes &&
  bytes[0] === 0xb1 &&
  bytes[1] >= 1 &&
  bytes[1] <= 3 &&
  bytes[2] <= 2 &&
  bytes[3] === 0;

function isGood(work) {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

/** What the system has against reading a file of the repository costs that file, and no more. */
function asDamage(work) {
  try {
    return work();
  } catch (error) {
    throw new Damage(error.code === 'ENOENT' ? 'it is not there' : `it cannot be read: ${reasonOf(error)}`);
  }
}

/** `length` bytes of a file from `offset` on; throws when there are fewer. */
function readAt(fd, offset, length) {
  if (offset < 0 || length < 0) throw new Damage('it is too short');
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length;) {
    const read = asDamage(() => fs.readSync(fd, bytes, at, length - at, offset + at));
    if (read === 0) throw new Damage('it is too short');
    at += read;
  }
  return bytes;
}

// ======================================================================================================================
// 5. READING CHUNKS AND STREAMS (docs/format.md: Packs, Streams)
// ======================================================================================================================

const blobTypes = { data: 1, map: 2, list: 3 };
/** A stream may use many small parts of one chunk after another. */
const cacheBytes = 64 * 1024 * 1024;
/** What a chunk takes in memory beside its bytes, rather more than less. */
const cacheOverhead = 1024;

/** So many bytes of a stream cannot be had. */
class Gap {
  constructor(length, reason) {
    this.length = length;
    this.reason = reason;
  }
}

class Chunks {
  #repository;
  #packs;
  /** The chunks that were read last, by id. */
  #recent = new Map();
  #recentBytes = 0;
  /** For `check`, by slot of the table: 0 not read yet, 1 bad, else its length and 2. */
  #checked = null;

  constructor(repository) {
    this.#repository = repository;
    this.#packs = new Packs(repository);
  }

  /** The plain bytes of a chunk, proven to be those that its id stands for. */
  read(id, types) {
    const key = id.toString('latin1');
    const known = this.#recent.get(key);
    if (known !== undefined) return known;
    const reasons = new Set();
    for (const { packNumber, offset } of this.#packs.table.places(id)) {
      try {
        const bytes = this.#readRecord(packNumber, offset, id, types);
        this.#remember(key, bytes);
        return bytes;
      } catch (error) {
        if (!(error instanceof Damage)) throw error;
        reasons.add(`${this.#packs.nameOf(packNumber)} at ${offset}: ${error.message}`);
      }
    }
    if (reasons.size === 0) reasons.add('no pack has it');
    throw new Damage(`chunk ${id.toString('hex', 0, 8)}… (${[...reasons].join('; ')})`);
  }

  #readRecord(packNumber, offset, id, types) {
    const pack = this.#packs.open(packNumber);
    let failed;
    try {
      return this.#openRecord(pack, offset, readAt(pack.fd, offset, recordHeaderBytes), id, types);
    } catch (error) {
      failed = error;
    }
    // It may be that only the record's header is damaged: footer and indexes have all of it once more.
    const header = this.#packs.recordHeader(packNumber, offset);
    if (header === null) throw failed;
    return this.#openRecord(pack, offset, header, id, types);
  }

  #openRecord(pack, offset, header, id, types) {
    if (!looksLikeRecord(header) || !header.subarray(12, 44).equals(id))
      throw new Damage('another chunk is there');
    if (!types.includes(header[1])) throw new Damage('it is a chunk of another type');
    const storedLength = header.readUInt32LE(8);
    if (offset + recordHeaderBytes + storedLength > pack.size)
      throw new Damage('the pack ends before it does');
    const stored = readAt(pack.fd, offset + recordHeaderBytes, storedLength);
    const plain = unpack(header[2], pack.seal.open(offset, header, stored), header.readUInt32LE(4));
    const proof = hmac(this.#repository.blobIdKey, Buffer.from([header[1]]), sha256(plain));
    if (!proof.equals(id)) throw new Damage('it unpacks to other bytes than its id stands for');
    progress(plain.length);
    return plain;
  }

  #remember(key, bytes) {
    this.#recent.set(key, bytes);
    this.#recentBytes += bytes.length + cacheOverhead;
    for (const [oldest, { length }] of this.#recent) {
      if (this.#recentBytes <= cacheBytes) return;
      this.#recent.delete(oldest);
      this.#recentBytes -= length + cacheOverhead;
    }
  }

  /** The bytes of a stream in order: buffers, and gaps where something is damaged. Together as long as they should be. */
  *pieces(stream, types = [blobTypes.data]) {
    let total = 0;
    for (const { id, offset, length, gap } of this.#rows(stream)) {
      total += length;
      if (gap !== undefined) {
        yield gap;
        continue;
      }
      let piece;
      try {
        const bytes = this.read(id, types);
        if (offset + length > bytes.length)
          throw new Damage(`chunk ${id.toString('hex', 0, 8)}… is shorter than its map says`);
        piece = bytes.subarray(offset, offset + length);
      } catch (error) {
        if (!(error instanceof Damage)) throw error;
        piece = new Gap(length, error.message);
      }
      yield piece;
    }
    if (total < stream.size_bytes) yield new Gap(stream.size_bytes - total, 'its map is too short');
    if (total > stream.size_bytes)
      yield new Gap(0, `its map leads to ${total} bytes instead of ${stream.size_bytes}`);
  }

  /** As `pieces`, but each chunk is read but once however often it is used, and only gaps come out. */
  *damagedPieces(stream, types = [blobTypes.data]) {
    this.#checked ??= new Uint32Array(this.#packs.table.slots);
    let total = 0;
    for (const { id, offset, length, gap } of this.#rows(stream)) {
      total += length;
      const reason = gap === undefined ? this.#whyBad(id, offset + length, types) : gap.reason;
      if (reason !== null) yield new Gap(length, reason);
    }
    if (total !== stream.size_bytes)
      yield new Gap(0, `its map leads to ${total} bytes instead of ${stream.size_bytes}`);
  }

  #whyBad(id, neededBytes, types) {
    const [first] = this.#packs.table.places(id);
    const state = first === undefined ? 1 : this.#checked[first.slot];
    const tooShort = `chunk ${id.toString('hex', 0, 8)}… is shorter than its map says`;
    if (state > 1) return neededBytes <= state - 2 ? null : tooShort;
    try {
      const { length } = this.read(id, types);
      this.#checked[first.slot] = length + 2;
      return neededBytes <= length ? null : tooShort;
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      return error.message;
    }
  }

  /** What a stream is made of: parts of chunks, and gaps where a node of its map is damaged. One node a level at a time. */
  *#rows({ root, depth, size_bytes: length }) {
    if (root === null) return;
    const id = Buffer.from(root, 'hex');
    if (depth === 0) yield { id, offset: 0, length };
    else yield* this.#rowsBelow(id, depth, length);
  }

  *#rowsBelow(id, depth, length) {
    let node;
    try {
      node = this.read(id, [blobTypes.map]);
      if (node.length === 0 || node.length % 40 !== 0)
        throw new Damage(`a map has a node of ${node.length} bytes`);
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      yield { length, gap: new Gap(length, `a part of its map, ${error.message}`) };
      return;
    }
    for (let at = 0; at < node.length; at += 40) {
      const child = node.subarray(at, at + 32);
      if (depth > 1) yield* this.#rowsBelow(child, depth - 1, Number(node.readBigUInt64LE(at + 32)));
      else yield { id: child, offset: node.readUInt32LE(at + 32), length: node.readUInt32LE(at + 36) };
    }
  }
}

// ======================================================================================================================
// 6. BACKUPS (docs/format.md: Indexes and manifests)
// ======================================================================================================================

const snapshotName = /^(\d{10})-(\d{8}t\d{9}z)-([0-9a-f]{32})$/;

/** The names of all manifests, oldest first: a backup exists exactly when its manifest does. */
function backupNames(repository) {
  return repository.names('snapshots').filter((name) => snapshotName.test(name));
}

function readManifest(repository, name) {
  const object = `snapshots/${name}`;
  try {
    const bytes = repository.read(object);
    const manifest = JSON.parse(openWhole(repository, 'manifest', object, bytes).toString());
    const [, sequence, , id] = snapshotName.exec(name);
    if (manifest.id !== id || manifest.sequence !== Number(sequence))
      throw new Damage('its name is that of another');
    return { manifest, sha256: crypto.hash('sha256', bytes, 'hex') };
  } catch (error) {
    throw new Damage(`the manifest ${object} cannot be read: ${reasonOf(error)}`);
  }
}

/** All backups that can be read, oldest first; the others are named. */
function* readableBackups(repository) {
  for (const name of backupNames(repository)) {
    try {
      yield readManifest(repository, name).manifest;
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      troubles.add(error.message);
    }
  }
}

function findBackup(repository, wanted) {
  const names = backupNames(repository);
  if (names.length === 0)
    throw new Misuse('there are no backups in this repository: snapshots/ is empty or was not copied');
  if (wanted === 'latest' || wanted.startsWith('latest:')) {
    for (const name of names.toReversed()) {
      try {
        const { manifest } = readManifest(repository, name);
        if (wanted === 'latest' || manifest.source.name === wanted.slice('latest:'.length)) return manifest;
      } catch (error) {
        if (!(error instanceof Damage)) throw error;
        troubles.add(`${error.message}. An older backup is taken in its place`);
      }
    }
    throw new Misuse(`there is no backup for ${wanted}; list shows what there is`);
  }
  const found = /^[0-9a-f]+$/.test(wanted)
    ? names.filter((name) => snapshotName.exec(name)[3].startsWith(wanted))
    : [];
  if (found.length === 0) throw new Misuse(`no backup has an id that begins with ${wanted}; list shows them`);
  if (found.length > 1)
    throw new Misuse(`${found.length} backups have an id that begins with ${wanted}: type more of it`);
  return readManifest(repository, found[0]).manifest;
}

/**
 * The entries of a backup: `{path, kind, stream, meta}`, one JSON text a line. Where a chunk of the list is damaged, the
 * entries that it cut or held are lost, and the others come.
 */
function* entriesOf(chunks, { entries: { count, stream } }) {
  let found = 0;
  let rest = Buffer.alloc(0);
  let isCut = false;
  for (const piece of chunks.pieces(stream, [blobTypes.list, blobTypes.data])) {
    if (piece instanceof Gap) {
      troubles.add(`the list of what is in the backup, ${size(piece.length)} of it: ${piece.reason}`);
      rest = Buffer.alloc(0);
      isCut = true;
      continue;
    }
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let from = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
      // After a gap, what comes up to the next line is the end of an entry that is lost.
      if (!isCut) {
        found += 1;
        yield JSON.parse(bytes.toString('utf8', from, end));
      }
      isCut = false;
      from = end + 1;
    }
    rest = Buffer.from(bytes.subarray(from));
  }
  if (rest.length > 0 && !isCut) {
    found += 1;
    yield JSON.parse(rest.toString());
  }
  if (found !== count)
    troubles.add(`${count - found} of the ${plural(count, 'entry', 'entries')} of the backup are lost`);
}

// ======================================================================================================================
// 7. WAL (docs/format.md: WAL)
// ======================================================================================================================

const mib = 1024 * 1024;
const hex8 = (value) => value.toString(16).padStart(8, '0');

/** A position in the WAL as PostgreSQL writes it, `16/B374D848`. */
function parseLsn(text) {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
const showLsn = (lsn) => `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();

/** The WAL of one PostgreSQL cluster. */
class WalArchive {
  id;
  source;
  systemIdentifier;
  segmentBytes;
  #repository;

  constructor(repository, id, { source, system_identifier, segment_bytes }) {
    this.#repository = repository;
    this.id = id;
    this.source = source;
    this.systemIdentifier = system_identifier;
    this.segmentBytes = BigInt(segment_bytes);
  }

  /** WAL is stored in units: segments, or pieces of 16 MiB of larger ones. */
  get unitBytes() {
    return this.segmentBytes < 16n * 1024n * 1024n ? this.segmentBytes : 16n * 1024n * 1024n;
  }

  timelines() {
    return this.#repository
      .names(`wal/${this.id}`)
      .filter((name) => /^[0-9a-f]{8}$/.test(name))
      .map((name) => Number.parseInt(name, 16));
  }

  /** What is stored of a timeline, by position: stretches that lie within a unit. `from`: the folder to begin with. */
  *stretches(timeline, from = 0n) {
    const folder = `wal/${this.id}/${hex8(timeline)}`;
    for (const high of this.#repository.names(folder)) {
      if (!/^[0-9a-f]{8}$/.test(high) || BigInt(`0x${high}`) < from >> 32n) continue;
      for (const low of this.#repository.names(`${folder}/${high}`)) {
        const [, digits, part] = /^([0-9a-f]{8})(?:\.p([0-9a-f]{8}))?$/.exec(low) ?? [];
        if (digits === undefined) continue;
        const start = (BigInt(`0x${high}`) << 32n) | BigInt(`0x${digits}`);
        const end = start + (part === undefined ? this.unitBytes : BigInt(`0x${part}`));
        const isWhole = start % this.unitBytes === 0n && end - start === this.unitBytes;
        const fits = end > start && (end - 1n) / this.unitBytes === start / this.unitBytes;
        if (fits && isWhole === (part === undefined))
          yield { timeline, start, end, isWhole, name: `${folder}/${high}/${low}` };
      }
    }
  }

  /** The bytes of a stretch, authenticated. */
  readStretch({ timeline, start, end, name }) {
    return this.#open(name, (head) => {
      if (head.timeline !== timeline || parseLsn(head.start) !== start || parseLsn(head.end) !== end)
        throw new Damage('it holds another stretch of WAL');
      return Number(end - start);
    });
  }

  /** Names of what PostgreSQL archives beside segments: histories of timelines, for one. */
  files() {
    return this.#repository.names(`wal/${this.id}/files`);
  }

  /** Such a file, by its name as PostgreSQL writes it; null when there is none. */
  readFile(name) {
    const object = `wal/${this.id}/files/${name.toLowerCase()}`;
    if (!fs.existsSync(this.#repository.file(object))) return null;
    return this.#open(object, (head) => {
      if (head.file.toLowerCase() !== name.toLowerCase()) throw new Damage(`it holds ${head.file}`);
      return head.bytes;
    });
  }

  /** A head of JSON, which says how many bytes there must be, then those in frames. */
  #open(name, lengthBy) {
    try {
      const sections = new Sections(this.#repository, 'wal', name, this.#repository.read(name));
      const length = lengthBy(JSON.parse(sections.next(0x51, 16 * mib).toString()));
      const frames = [];
      for (let at = 0; at < length;) {
        const frame = sections.next(0x57, Math.min(mib, length - at));
        if (frame.length === 0) throw new Damage('a frame of it is empty');
        frames.push(frame);
        at += frame.length;
      }
      sections.end();
      return Buffer.concat(frames, length);
    } catch (error) {
      throw new Damage(`${name}: ${reasonOf(error)}`);
    }
  }

  /**
   * What there is of the unit that begins at `start`, from there up to the first gap. Throws when damage leaves less than
   * is stored.
   */
  readUnit(timeline, start) {
    const stored = [];
    for (const stretch of this.stretches(timeline, start)) {
      if (stretch.start >= start + this.unitBytes) break;
      if (stretch.start >= start) stored.push(stretch);
    }
    const bad = [];
    const read = (stretch) => {
      try {
        return this.readStretch(stretch);
      } catch (error) {
        if (!(error instanceof Damage)) throw error;
        bad.push(error.message);
        return null;
      }
    };
    const whole = stored.find(({ isWhole }) => isWhole);
    const bytes = whole === undefined ? null : read(whole);
    if (bytes !== null) return bytes;
    // Parts may overlap; each has to say the same where it does.
    const unit = Buffer.alloc(Number(this.unitBytes));
    let reach = 0;
    for (const stretch of stored) {
      const at = Number(stretch.start - start);
      if (stretch.isWhole || at > reach || Number(stretch.end - start) <= reach) continue;
      const part = read(stretch);
      if (part === null) continue;
      if (!unit.subarray(at, reach).equals(part.subarray(0, reach - at)))
        throw new Damage(`${stretch.name} differs from other WAL for the same position`);
      part.copy(unit, at);
      reach = at + part.length;
    }
    let promised = 0n;
    for (const stretch of stored)
      if (stretch.start <= start + promised && stretch.end > start + promised) promised = stretch.end - start;
    if (BigInt(reach) < promised)
      throw new Damage(
        `WAL of timeline ${timeline} from ${showLsn(start + BigInt(reach))} on: ${bad.join('; ')}`,
      );
    return unit.subarray(0, reach);
  }

  /** Where the WAL of this timeline that is stored behind a position begins; null when the position is its end. */
  goesOnAt(timeline, position) {
    for (const { start, end } of this.stretches(timeline, position))
      if (end > position) return start > position ? start : position;
    return null;
  }

  /**
   * Gives the bytes of a segment to `write` and returns how many of them there are: fewer than a segment has only where
   * the WAL of the timeline ends. A gap before more WAL is damage: PostgreSQL would take it for the end of all WAL, and
   * silently leave out what comes behind it.
   */
  readSegment(timeline, start, write) {
    let reach = start;
    for (let unit = start; unit < start + this.segmentBytes && reach === unit; unit += this.unitBytes) {
      const bytes = this.readUnit(timeline, unit);
      write(bytes);
      reach += BigInt(bytes.length);
    }
    if (reach === start + this.segmentBytes) return this.segmentBytes;
    const next = this.goesOnAt(timeline, reach);
    if (next !== null)
      throw new Damage(
        `there is a gap in the WAL of timeline ${timeline}, from ${showLsn(reach)} to ${showLsn(next)}`,
      );
    return reach - start;
  }

  segmentName(timeline, start) {
    const perLog = 0x1_0000_0000n / this.segmentBytes;
    const number = start / this.segmentBytes;
    return `${hex8(timeline)}${hex8(number / perLog)}${hex8(number % perLog)}`.toUpperCase();
  }

  /** `{timeline, start}` of the segment of that name; null when it is no name of a segment. */
  segmentOf(name) {
    const [, timeline, log, number] = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/.exec(name) ?? [];
    if (timeline === undefined || BigInt(`0x${number}`) >= 0x1_0000_0000n / this.segmentBytes) return null;
    const start = (BigInt(`0x${log}`) << 32n) + BigInt(`0x${number}`) * this.segmentBytes;
    return { timeline: Number.parseInt(timeline, 16), start };
  }
}

/** Every archive of WAL. Where what tells of one is damaged, a backup of the cluster tells the same. */
function walArchives(repository) {
  const archives = [];
  const lost = new Map();
  for (const id of repository.names('wal')) {
    if (!/^[0-9a-f]{32}$/.test(id)) continue;
    const object = `wal/about/${id}`;
    try {
      const about = JSON.parse(openWhole(repository, 'wal', object, repository.read(object)).toString());
      const expected = hmac(repository.walKey, about.source, Buffer.of(0), about.system_identifier);
      if (expected.toString('hex', 0, 16) !== id) throw new Damage('it tells of another archive');
      archives.push(new WalArchive(repository, id, about));
    } catch (error) {
      lost.set(id, `${object}: ${reasonOf(error)}`);
    }
  }
  if (lost.size > 0) {
    for (const { source, metadata } of readableBackups(repository)) {
      if (!lost.delete(metadata.wal_archive)) continue;
      const { wal_archive: id, system_identifier, wal_segment_bytes: segment_bytes } = metadata;
      archives.push(
        new WalArchive(repository, id, { source: source.name, system_identifier, segment_bytes }),
      );
    }
  }
  for (const reason of lost.values()) troubles.add(`an archive of WAL cannot be read: ${reason}`);
  return archives;
}

// ======================================================================================================================
// 8. WRITING FILES
// ======================================================================================================================

const unfinishedName = 'holdfast-unfinished.txt';
const damageName = 'holdfast-damage.txt';
/** With these there is no sense in trying the next file. */
const hopeless = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EMFILE', 'ENFILE']);

/**
 * The bytes of a path as backups write it: a byte that is no part of valid UTF-8, a control character and `%` are written
 * `%XX`. Throws for one that leads out of the place it is in.
 */
function pathBytes(text) {
  const pieces = text.split(/(%[0-9A-Fa-f]{2})/);
  const bytes = Buffer.concat(
    pieces.map((piece, index) => (index % 2 === 1 ? Buffer.from(piece.slice(1), 'hex') : Buffer.from(piece))),
  );
  return bytes;
}
function safePathBytes(text) {
  const bytes = pathBytes(text);
  const parts = bytes.toString('latin1').split('/');
  if (
    text !== '.' &&
    parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0'))
  )
    throw new Damage('its path leads elsewhere');
  return bytes;
}

/** Where a restore writes to: a directory that was empty. */
class Target {
  directory;

  constructor(directory, repository) {
    this.directory = path.resolve(directory);
    const inside = path.relative(fs.realpathSync(repository.directory), this.directory);
    if (inside === '' || (!inside.startsWith('..') && !path.isAbsolute(inside)))
      throw new Misuse(`${directory} lies in the repository: restore to another place`);
    makeEmptyDirectory(this.directory);
    troubles.file = path.join(this.directory, damageName);
    const text = 'A restore into this directory has begun and has not finished. What is here is not all.\n';
    fs.writeFileSync(path.join(this.directory, unfinishedName), text, { mode: 0o600 });
  }

  /** The path, in bytes, of what has this path in the backup. */
  place(relative) {
    return relative === '.'
      ? Buffer.from(this.directory)
      : Buffer.concat([Buffer.from(`${this.directory}/`), safePathBytes(relative)]);
  }

  /** Nothing was written. */
  abandon() {
    fs.rmSync(path.join(this.directory, unfinishedName));
    fs.rmdirSync(this.directory);
  }

  /** All is on the disk, and is known to be all. */
  finish() {
    if (fs.existsSync(troubles.file)) flush(troubles.file);
    fs.rmSync(path.join(this.directory, unfinishedName));
    flush(this.directory);
    attempt(path.dirname(this.directory), () => flush(path.dirname(this.directory)));
  }
}

function makeEmptyDirectory(directory) {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (fs.readdirSync(directory).length > 0)
    throw new Misuse(`${directory} is not empty: name a new directory`);
}

/** Does something to one file. What fails costs that file, unless it would fail for every other one as well. */
function attempt(what, work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof Stop || error instanceof Misuse) throw error;
    if (hopeless.has(error.code)) throw new Stop(`${what}: ${reasonOf(error)}. The restore is not finished`);
    if (!(error instanceof Damage) && error.code === undefined) throw error;
    troubles.add(`${what}: ${reasonOf(error)}`);
    return false;
  }
}

/** Makes something, and what it is in where that is not there: its entry was not asked for, or is lost. */
function withParent(place, make) {
  try {
    return make();
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    fs.mkdirSync(place.subarray(0, place.lastIndexOf(47)), { recursive: true, mode: 0o700 });
    return make();
  }
}

const openNew = (place) => withParent(place, () => fs.openSync(place, 'wx', 0o600));

function writeAll(fd, bytes, position = null) {
  for (let at = 0; at < bytes.length;)
    at += fs.writeSync(fd, bytes, at, bytes.length - at, position === null ? null : position + at);
}

const zeros = Buffer.alloc(4 * mib);
const isZero = (bytes) => bytes.length <= zeros.length && bytes.equals(zeros.subarray(0, bytes.length));

/**
 * Writes a stream to a new file and compares its size. Where bytes cannot be had it has zeros, and each such place is
 * named. True when it is whole.
 */
function writeFile(what, place, pieces, stream, { mode = 0o600, sparse = false, uid, gid, mtime } = {}) {
  const fd = openNew(place);
  try {
    let at = 0;
    let isWhole = true;
    for (const piece of pieces) {
      if (piece instanceof Gap) {
        troubles.add(`${what}: ${piece.length} bytes from ${at} on are lost: ${piece.reason}`);
        isWhole = false;
      } else if (!(sparse && isZero(piece))) writeAll(fd, piece, at);
      at += piece.length;
    }
    fs.ftruncateSync(fd, at); // what was left out at the end counts
    const written = fs.fstatSync(fd).size;
    if (written !== stream.size_bytes) {
      troubles.add(`${what}: it has ${written} bytes instead of ${stream.size_bytes}`);
      isWhole = false;
    }
    attempt(`${what}: its owner, rights and time`, () => {
      const isIts = uid === undefined || giveTo(() => fs.fchownSync(fd, uid, gid));
      fs.fchmodSync(fd, isIts ? mode : withoutOwner(mode));
      if (mtime !== undefined) fs.futimesSync(fd, timeOf(mtime), timeOf(mtime));
    });
    if ((mode & 0o400) === 0) fs.fsyncSync(fd); // `flushTree` cannot open it any more
    return isWhole;
  } finally {
    fs.closeSync(fd);
  }
}

/** Only root may give files away, and not everywhere to everyone. True when it is its owner's. */
function giveTo(change) {
  try {
    change();
    return true;
  } catch (error) {
    if (!['EPERM', 'EINVAL', 'ENOTSUP'].includes(error.code)) throw error;
    notGiven += 1;
    return false;
  }
}

let notGiven = 0;
/** A program must not run as whoever happened to restore it. */
const withoutOwner = (mode) => mode & 0o1777;

/** Of nanoseconds since 1970; Node takes times before that only as dates. */
function timeOf(nanoseconds) {
  const seconds = Number(nanoseconds) / 1e9;
  return seconds < 0 ? new Date(Math.floor(seconds * 1000)) : seconds;
}

function writeText(file, text, mode = 0o600) {
  fs.writeFileSync(file, text, { mode });
  fs.chmodSync(file, mode);
}

function flush(place) {
  const fd = fs.openSync(place, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Sees to it that all below a directory is on the disk: files many at a time, each directory after what is in it. */
async function flushTree(directory) {
  let files = [];
  const flushFiles = async () => {
    const batch = files;
    files = [];
    await Promise.all(
      batch.map(async (file) => {
        const handle = await fs.promises.open(file, 'r').catch((error) => {
          if (error.code !== 'EACCES') throw error; // was flushed when it was written
        });
        await handle?.sync();
        await handle?.close();
      }),
    );
  };
  const visit = async (folder) => {
    const listing = fs.opendirSync(folder, { encoding: 'buffer' });
    for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
      const inside = Buffer.concat([folder, Buffer.from('/'), entry.name]);
      if (entry.isDirectory()) await visit(inside);
      else if (entry.isFile()) files.push(inside);
      if (files.length >= 64) await flushFiles();
    }
    listing.closeSync();
    flush(folder);
  };
  await visit(Buffer.from(directory));
  await flushFiles();
}

// ======================================================================================================================
// 9. RESTORING EACH KIND OF BACKUP (docs/format.md: the section of each kind)
// ======================================================================================================================

/** What a restore works with. */
class Work {
  repository;
  chunks;
  manifest;
  target;
  /** Of the command line. */
  options;
  /** Of a cluster: settings of a recovery by the archive, or null; places of tablespaces by OID. */
  recovery;
  tablespaces;
  /** What is still to be done when all else is. */
  last = () => {};

  constructor(parts) {
    Object.assign(this, parts);
  }

  /** The entries that were asked for: all, or those at a path of --only and below. */
  *entries() {
    for (const entry of entriesOf(this.chunks, this.manifest)) if (this.isWanted(entry.path)) yield entry;
  }

  isWanted(entryPath) {
    const { only } = this.options;
    if (only === undefined) return true;
    return only.some(
      (wanted) => wanted === '.' || entryPath === wanted || entryPath.startsWith(`${wanted}/`),
    );
  }

  /** Writes an entry to a file of that name. A damaged one gets a name that nobody takes for the right one. */
  writeEntry({ path: entryPath, stream }, place, attributes, markDamaged = true) {
    return attempt(entryPath, () => {
      const content = stream ?? { root: null, depth: 0, size_bytes: 0 };
      const isWhole = writeFile(entryPath, place, this.chunks.pieces(content), content, attributes);
      if (isWhole) wholeThings += 1;
      else if (markDamaged) fs.renameSync(place, damagedName(place));
      return isWhole;
    });
  }
}

const damagedName = (place) => Buffer.concat([place, Buffer.from('.damaged')]);

/** Restores a backup; resolves with what is to be said to whoever wanted it. */
async function restoreKind(work) {
  const { kind } = work.manifest.source;
  if (work.options.only !== undefined && kind === 'postgres-cluster') return await restorePlainly(work);
  switch (kind) {
    case 'files':
      return await restoreFiles(work);
    case 'sqlite':
      return await restoreSqlite(work);
    case 'postgres':
      return await restorePostgres(work);
    case 'postgres-cluster':
      return await restoreCluster(work);
    case 'postgres-sql':
      await restorePlainly(work);
      return 'A script for psql. To load it into a new database:\n\n  createdb NEW\n  psql --no-psqlrc --set ON_ERROR_STOP=1 -d NEW -f script.sql';
    default:
      note(`Note: this file does not know backups of kind ${kind}; what is in it is written as it is.`);
      return await restorePlainly(work);
  }
}

/** Each entry as a file, under its path as it is written in the backup. */
async function restorePlainly(work) {
  for (const entry of work.entries()) {
    if (entry.stream === null) continue;
    attempt(entry.path, () => {
      const literal = entry.path.replaceAll('%', '%25'); // so that nothing in it is decoded
      work.writeEntry(entry, work.target.place(literal), {});
    });
  }
  await flushTree(work.target.directory);
  return '';
}

// ----- Files ----------------------------------------------------------------------------------------------------------

/**
 * Directories, files and hard links first, then symbolic links, so that nothing is ever written through one; rights and
 * times of directories last of all, for writing in them changes those.
 */
async function restoreFiles(work) {
  const { target } = work;
  const links = { damaged: new Set(), outside: new Map() };
  let withAttributes = 0;
  for (const entry of work.entries()) {
    if (entry.meta.xattrs !== undefined) withAttributes += 1;
    attempt(entry.path, () => {
      const place = target.place(entry.path);
      if (entry.kind === 'files.directory') fs.mkdirSync(place, { recursive: true, mode: 0o700 });
      else if (entry.kind === 'files.file') {
        if (!work.writeEntry(entry, place, entry.meta)) links.damaged.add(entry.path);
      } else if (entry.kind === 'files.hardlink') makeHardLink(work, entry, place, links);
      else if (entry.kind !== 'files.symlink')
        throw new Damage(`it is of a kind that is not known: ${entry.kind}`);
    });
  }
  if (links.outside.size > 0) writeLinkedFiles(work, links.outside);
  for (const entry of work.entries())
    if (entry.kind === 'files.symlink')
      attempt(entry.path, () => makeSymbolicLink(entry, target.place(entry.path)));
  await flushTree(target.directory);
  finishDirectories(work);
  if (withAttributes > 0)
    note(
      `Note: extended attributes (ACLs, labels, capabilities) of ${plural(withAttributes, 'entry', 'entries')} are in the backup and were not restored.`,
    );
  if (notGiven > 0)
    note(
      `Note: ${plural(notGiven, 'file or directory is yours', 'files and directories are yours')}, and was somebody else's: only root can give it back.`,
    );
  return '';
}

function makeHardLink(work, entry, place, links) {
  const { target } = entry.meta;
  if (!work.isWanted(target)) {
    links.outside.set(target, [...(links.outside.get(target) ?? []), entry.path]);
    return;
  }
  const isDamaged = links.damaged.has(target);
  const file = work.target.place(target);
  const [from, to] = isDamaged ? [damagedName(file), damagedName(place)] : [file, place];
  withParent(to, () => fs.linkSync(from, to));
  if (isDamaged) troubles.add(`${entry.path} is another name of ${target}, which is damaged`);
  else wholeThings += 1;
}

/** Of hard links that --only chose without the file they are names of: the first name gets the file. */
function writeLinkedFiles(work, outside) {
  for (const entry of entriesOf(work.chunks, work.manifest)) {
    const names = entry.kind === 'files.file' ? outside.get(entry.path) : undefined;
    if (names === undefined) continue;
    const [first, ...others] = names;
    const isWhole = attempt(first, () =>
      work.writeEntry({ ...entry, path: first }, work.target.place(first), entry.meta),
    );
    for (const other of others)
      attempt(other, () => {
        if (!isWhole) throw new Damage(`it is another name of ${first}, which is damaged`);
        const place = work.target.place(other);
        withParent(place, () => fs.linkSync(work.target.place(first), place));
      });
  }
}

function makeSymbolicLink({ meta }, place) {
  withParent(place, () => fs.symlinkSync(pathBytes(meta.target), place));
  giveTo(() => fs.lchownSync(place, meta.uid, meta.gid));
  fs.lutimesSync(place, timeOf(meta.mtime), timeOf(meta.mtime));
  wholeThings += 1;
}

/** Those that not even their owner may enter come last, the inner ones first. */
function finishDirectories(work) {
  const shut = [];
  const finish = ({ path: entryPath, meta }) =>
    attempt(entryPath, () => {
      const fd = fs.openSync(work.target.place(entryPath), 'r');
      try {
        const isIts = giveTo(() => fs.fchownSync(fd, meta.uid, meta.gid));
        fs.fchmodSync(fd, isIts ? meta.mode : withoutOwner(meta.mode));
        fs.futimesSync(fd, timeOf(meta.mtime), timeOf(meta.mtime));
        fs.fsyncSync(fd);
        wholeThings += 1;
      } finally {
        fs.closeSync(fd);
      }
    });
  for (const entry of work.entries()) {
    if (entry.kind !== 'files.directory') continue;
    // The place itself has two files of ours in it still, and gets what it should have by the very end.
    if (entry.path === '.' || (entry.meta.mode & 0o700) !== 0o700) shut.push(entry);
    else finish(entry);
  }
  work.last = () => {
    for (const entry of shut.toReversed()) finish(entry);
  };
}

// ----- SQLite ---------------------------------------------------------------------------------------------------------

async function restoreSqlite(work) {
  for (const entry of work.entries()) {
    if (entry.kind !== 'sqlite.database') continue;
    const { mode, uid, gid, mtime } = entry.meta;
    attempt(entry.path, () =>
      work.writeEntry(entry, work.target.place(entry.path), { mode, uid, gid, mtime }),
    );
  }
  await flushTree(work.target.directory);
  return 'SQLite databases, ready to be opened. To check one: sqlite3 FILE "PRAGMA integrity_check"';
}

// ----- PostgreSQL, logical --------------------------------------------------------------------------------------------

/** For each database an archive as pg_dump writes it, so that pg_restore takes it; and roles and tablespaces. */
async function restorePostgres(work) {
  const { target, manifest } = work;
  if (work.options.only?.some((wanted) => wanted.includes('/'))) {
    await restorePlainly(work);
    return "What was asked for, as it is stored. The text of a table loads with: psql -d DATABASE -c '\\copy SCHEMA.TABLE from FILE'\n(the columns are those of the table at the time of the backup).";
  }
  const byDatabase = new Map();
  let globals = false;
  for (const entry of work.entries()) {
    if (entry.kind === 'pg.globals') globals = work.writeEntry(entry, target.place('globals.sql'), {});
    else {
      const { database } = entry.meta;
      if (!byDatabase.has(database)) byDatabase.set(database, []);
      byDatabase.get(database).push(entry);
    }
  }
  const lines = [];
  if (globals)
    lines.push(
      '# roles and tablespaces; "already exists" is no error',
      'psql -d postgres -f globals.sql',
      '',
    );
  for (const [database, entries] of byDatabase) {
    const folder = (entries[0].path.split('/', 1)[0] ?? '').replaceAll('%', '%25');
    const file = `${pathBytes(folder)}.dump`;
    attempt(database, () => {
      writeArchive(work, database, entries, target.place(`${folder}.dump`));
      lines.push(
        `# database ${database}, made anew under its name; into another one that is there: -d OTHER without --create`,
      );
      lines.push(`pg_restore --create --exit-on-error -d postgres ${shellWord(file)}`, '');
    });
  }
  const made = manifest.metadata.pg_dump_version ?? '';
  lines.push(`# pg_restore has to be of the major version of pg_dump ${made}, or newer`);
  writeText(path.join(target.directory, 'how-to-load.txt'), `${lines.join('\n')}\n`);
  await flushTree(target.directory);
  return `To load it, in ${target.directory} (also in how-to-load.txt there):\n\n${lines.join('\n')}`;
}

/** Rebuilds one custom archive, without compression: table of contents, then the blocks of data. */
function writeArchive(work, database, entries, place) {
  const parts = [];
  for (const entry of entries
    .filter(({ kind }) => kind === 'pg.toc')
    .toSorted((a, b) => a.meta.archive - b.meta.archive)) {
    const number = entry.meta.archive;
    attempt(entry.path, () => {
      const toc = readToc(wholeStream(work.chunks, entry.stream));
      const own = entries.filter(
        ({ kind, meta }) => meta.archive === number && (kind === 'pg.table' || kind === 'pg.blobs'),
      );
      parts.push({ number, toc, blocks: new Map(own.map((block) => [block.meta.dump_id, block])) });
    });
  }
  const used = new Set();
  const merged = parts[0]?.number === 0 && attempt(database, () => mergeArchives(parts));
  if (merged) {
    const { intSize } = parts[0].toc;
    const fd = openNew(place);
    try {
      writeAll(fd, merged.toc);
      let isWhole = true;
      for (const { name, block, ...rest } of merged.blocks) {
        used.add(block);
        if (!writeBlock(work, fd, intSize, { ...rest, block, name: `${database}: ${name}` })) isWhole = false;
      }
      if (isWhole) wholeThings += 1;
    } finally {
      fs.closeSync(fd);
    }
  } else {
    const loss = 'so that its tables have to be made by hand; their data follow as text for COPY';
    troubles.add(`${database}: its table of contents is lost, ${loss}`);
  }
  // What no table of contents tells of is not lost for that.
  for (const entry of entries) {
    if (entry.kind === 'pg.toc' || used.has(entry)) continue;
    const literal = entry.path.replaceAll('%', '%25');
    work.writeEntry(entry, work.target.place(literal), {});
  }
}

function wholeStream(chunks, stream) {
  const pieces = [];
  for (const piece of chunks.pieces(stream)) {
    if (piece instanceof Gap) throw new Damage(piece.reason);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, stream.size_bytes);
}

/**
 * Takes the header and the table of contents of a custom archive of versions 1.12 to 1.16 (pg_dump 10 to 18) apart. An
 * integer is a sign byte and `intSize` bytes, least significant first; a string is its length (-1: none) and its bytes.
 */
function readToc(bytes) {
  let at = 0;
  const take = (length) => {
    if (length < 0 || at + length > bytes.length) throw new Damage('its table of contents is cut short');
    at += length;
    return bytes.subarray(at - length, at);
  };
  if (take(5).toString('latin1') !== 'PGDMP') throw new Damage('it is no archive of pg_dump');
  const [major, minor, , intSize, offSize, format] = take(6);
  if (major !== 1 || minor < 12 || minor > 16 || format !== 1)
    throw new Damage(`it is an archive of version ${major}.${minor}, which is not known here`);
  const int = () => {
    const [sign, ...digits] = take(1 + intSize);
    const value = digits.reduceRight((sum, digit) => sum * 256 + digit, 0);
    return sign === 0 ? value : -value;
  };
  const string = () => {
    const length = int();
    return length < 0 ? null : take(length).toString('latin1');
  };
  if (minor >= 15) take(1);
  else int(); // compression
  for (let field = 0; field < 7; field += 1) int(); // when it was made
  for (let field = 0; field < 3; field += 1) string(); // database, version of the server, version of pg_dump
  const header = bytes.subarray(0, at);
  const entries = [];
  for (let left = int(); left > 0; left -= 1) {
    const from = at;
    const dumpId = int();
    const hasData = int() !== 0;
    string(); // oid of the catalogue's table
    string(); // oid
    const tag = string();
    const description = string();
    const section = int(); // 2 before the data, 3 data, 4 after the data
    for (let field = 0; field < 3; field += 1) string(); // statements that make, drop and copy
    const schema = string();
    string(); // tablespace
    if (minor >= 14) string(); // access method
    if (minor >= 16) int(); // kind of relation
    string(); // owner
    string(); // WITH OIDS
    const dependenciesFrom = at;
    while (string() !== null);
    const dependenciesTo = at;
    take(1 + offSize); // where the data are in the file: pg_dump did not say
    const raw = bytes.subarray(from, at);
    entries.push({
      dumpId,
      hasData,
      tag,
      description,
      section,
      schema,
      raw,
      dependencies: [dependenciesFrom - from, dependenciesTo - from],
    });
  }
  if (at !== bytes.length) throw new Damage('bytes follow its table of contents');
  return { header, intSize, minor, entries };
}

function encodeInt(value, intSize) {
  const bytes = Buffer.alloc(1 + intSize);
  bytes[0] = value < 0 ? 1 : 0;
  bytes.writeUIntLE(Math.abs(value), 1, Math.min(6, intSize));
  return bytes;
}

const keyOf = ({ schema, tag }) => `${schema ?? ''}\0${tag ?? ''}`;
const nameOf = ({ schema, tag, description }) =>
  Buffer.from(schema ? `${schema}.${tag}` : `${description} ${tag ?? ''}`, 'latin1').toString();

/**
 * A database that was dumped by several pg_dumps side by side: archive 0 has all but the data of some big tables, each
 * further one has those of a few. The entries of their data go into the table of contents of the first right before its
 * own data, under new numbers, each depending on its table as archive 0 knows it.
 */
function mergeArchives([first, ...further]) {
  const { intSize, minor, header, entries } = first.toc;
  const tables = new Map(
    entries.filter(({ description }) => description === 'TABLE').map((entry) => [keyOf(entry), entry.dumpId]),
  );
  const blockOf = (entry, part, dumpId) => {
    const block = part.blocks.get(entry.dumpId);
    return { dumpId, name: nameOf(entry), isBlobs: entry.description === 'BLOBS', block };
  };
  let nextId = Math.max(0, ...entries.map(({ dumpId }) => dumpId)) + 1;
  const added = [];
  for (const part of further) {
    if (part.toc.intSize !== intSize || part.toc.minor !== minor)
      throw new Damage('its archives are of several versions of pg_dump');
    for (const entry of part.toc.entries) {
      const table = tables.get(keyOf(entry));
      if (!entry.hasData || table === undefined) continue;
      const [from, to] = entry.dependencies;
      const dependency = Buffer.from(String(table));
      const list = [encodeInt(dependency.length, intSize), dependency, encodeInt(-1, intSize)];
      const raw = Buffer.concat([
        encodeInt(nextId, intSize),
        entry.raw.subarray(1 + intSize, from),
        ...list,
        entry.raw.subarray(to),
      ]);
      added.push({ raw, ...blockOf(entry, part, nextId) });
      nextId += 1;
    }
  }
  const firstData = entries.findIndex(({ section }) => section === 3 || section === 4);
  const own = entries.map((entry) =>
    entry.hasData ? { raw: entry.raw, ...blockOf(entry, first, entry.dumpId) } : { raw: entry.raw },
  );
  const all = own.toSpliced(firstData === -1 ? own.length : firstData, 0, ...added);
  const toc = Buffer.concat([header, encodeInt(all.length, intSize), ...all.map(({ raw }) => raw)]);
  return { toc, blocks: all.filter(({ dumpId }) => dumpId !== undefined) };
}

/**
 * Writes the data of one entry: type (1 table, 3 large objects), number, and then pieces, each with its length before it,
 * and a length of 0. Large objects were stored with their framing. Lost data leave a shorter block. True when it is whole.
 */
function writeBlock(work, fd, intSize, { dumpId, name, isBlobs, block }) {
  const int = (value) => writeAll(fd, encodeInt(value, intSize));
  writeAll(fd, Buffer.of(isBlobs ? 3 : 1));
  int(dumpId);
  let isWhole = true;
  const lose = (text) => {
    troubles.add(`${name}: ${text}`);
    isWhole = false;
  };
  const pieces = block === undefined || block.stream === null ? [] : work.chunks.pieces(block.stream);
  if (block === undefined) lose('its data are not in the backup');
  if (isBlobs) {
    const objects = new LargeObjects(intSize, (bytes) => writeAll(fd, bytes), lose);
    for (const piece of pieces) objects.push(piece);
    objects.end();
  } else {
    for (const rows of wholeRows(pieces, lose)) {
      int(rows.length);
      writeAll(fd, rows);
    }
    int(0);
  }
  return isWhole;
}

/** The rows of COPY text that are whole: a gap takes with it the rows that it cuts. A newline always ends a row. */
function* wholeRows(pieces, lose) {
  let beginning = [];
  let isCut = false;
  for (const piece of pieces) {
    if (piece instanceof Gap) {
      lose(`rows are lost, ${piece.length} bytes of them and what they cut: ${piece.reason}`);
      beginning = [];
      isCut = true;
      continue;
    }
    const from = isCut ? piece.indexOf(10) + 1 : 0;
    if (isCut && from === 0) continue;
    isCut = false;
    const end = piece.lastIndexOf(10) + 1;
    if (end > from) {
      yield Buffer.concat([...beginning, piece.subarray(from, end)]);
      beginning = [];
    }
    beginning.push(piece.subarray(Math.max(from, end)));
  }
  const last = Buffer.concat(beginning);
  if (last.length > 0) yield last;
}

/**
 * Passes the inside of a block of large objects on: of each object its number, pieces with their lengths, a length of 0;
 * then a number of 0. A gap within a piece is filled with zeros; behind any other gap nothing can be told apart.
 */
class LargeObjects {
  #intSize;
  #write;
  #lose;
  #pending = Buffer.alloc(0);
  #object = 0;
  #left = 0;
  #isOver = false;

  constructor(intSize, write, lose) {
    this.#intSize = intSize;
    this.#write = write;
    this.#lose = lose;
  }

  push(piece) {
    if (piece instanceof Gap) this.#gap(piece);
    else for (let at = 0; at < piece.length && !this.#isOver;) at += this.#take(piece.subarray(at));
  }

  #take(bytes) {
    if (this.#left > 0) {
      const content = bytes.subarray(0, this.#left);
      this.#write(content);
      this.#left -= content.length;
      return content.length;
    }
    const digits = bytes.subarray(0, 1 + this.#intSize - this.#pending.length);
    this.#pending = Buffer.concat([this.#pending, digits]);
    if (this.#pending.length === 1 + this.#intSize) {
      const value = this.#pending.readUIntLE(1, Math.min(6, this.#intSize));
      // Numbers of objects above 2^31 went through a signed integer.
      const number = this.#pending[0] === 0 ? value : 2 ** 32 - value;
      this.#write(this.#pending);
      this.#pending = Buffer.alloc(0);
      if (this.#object === 0 && number === 0) this.#isOver = true;
      else if (this.#object === 0) this.#object = number;
      else if (value > 0) this.#left = value;
      else this.#object = 0;
    }
    return digits.length;
  }

  #gap({ length, reason }) {
    if (this.#isOver) return;
    if (length <= this.#left) {
      this.#lose(`${length} bytes of the large object ${this.#object} are lost and became zeros: ${reason}`);
      this.#fill(length);
      return;
    }
    const from = this.#object === 0 ? 'all' : `the large object ${this.#object} from here on, and all`;
    this.#lose(`${from} large objects behind in the same block are lost: ${reason}`);
    this.end();
  }

  #fill(length) {
    for (let at = 0; at < length; at += zeros.length)
      this.#write(zeros.subarray(0, Math.min(zeros.length, length - at)));
    this.#left -= length;
  }

  /** Ends the block, if it has not ended by itself. */
  end() {
    if (this.#isOver) return;
    this.#fill(this.#left);
    if (this.#object !== 0) this.#write(encodeInt(0, this.#intSize));
    this.#write(encodeInt(0, this.#intSize));
    this.#isOver = true;
  }
}

const shellWord = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

// ----- PostgreSQL clusters ----------------------------------------------------------------------------------------------

const controlPath = 'global/pg_control';
const configFolder = 'holdfast.config/';
/** Of the server that was backed up: a restored one must not take them for its own. */
const notRestored = new Set([
  'postmaster.pid',
  'postmaster.opts',
  'recovery.signal',
  'standby.signal',
  'backup_label',
  'tablespace_map',
]);

/**
 * The data directory of a whole server. Its configuration is settled so that it starts from this directory alone, with the
 * WAL that it needs to be consistent; or with --recover, so that it asks this very file for all WAL that there is.
 */
async function restoreCluster(work) {
  const { repository, manifest, target, recovery, tablespaces } = work;
  const wanted = manifest.metadata.wal_archive;
  const archive = walArchives(repository).find(({ id }) => id === wanted) ?? null;
  makeTablespaces(work);
  const special = new Map();
  for (const entry of work.entries())
    attempt(entry.path, () => writeClusterEntry(work, entry, tablespaces, special));

  const label = special.get('backup_label');
  const control = special.get(controlPath);
  const hasLabel =
    label !== undefined && attempt('backup_label', () => writeSpecial(work, 'backup_label', label));
  const map = special.get('tablespace_map');
  if (map !== undefined) attempt('tablespace_map', () => writeTablespaceMap(work, map, tablespaces));
  settleConfiguration(work, recovery);
  if (recovery === null) writeWal(work, archive);
  else fs.writeFileSync(path.join(target.directory, 'recovery.signal'), '', { mode: 0o600 });

  for (const directory of [target.directory, ...tablespaces.values()]) await flushTree(directory);
  // Last of all, for without it no server starts.
  if (hasLabel) {
    if (control === undefined)
      troubles.add(`${controlPath} is lost: no server can start from this directory`);
    else if (attempt(controlPath, () => writeSpecial(work, controlPath, control)))
      await flushTree(path.join(target.directory, 'global'));
  } else
    troubles.add(
      `backup_label is lost, so ${controlPath} was left out: a server that started without would be silently wrong`,
    );
  return clusterWords(work, tablespaces, recovery);
}

/** Where the tablespaces go that lay outside the data directory, by OID; others are ordinary directories in pg_tblspc. */
function planTablespaces({ metadata }, { to, tablespace = [] }) {
  const outside = metadata.tablespaces.filter(({ path: original }) => path.isAbsolute(original));
  const places = new Map(
    outside.map(({ oid }) => [String(oid), path.join(path.resolve(to), 'tablespaces', String(oid))]),
  );
  for (const wish of tablespace) {
    const [, oid, directory] = /^(\d+)=(.+)$/.exec(wish) ?? [];
    if (oid === undefined) throw new Misuse(`--tablespace ${wish}: write OID=DIRECTORY`);
    if (!places.has(oid))
      throw new Misuse(`--tablespace ${wish}: the backup has no such tablespace; info shows them`);
    const place = path.resolve(directory);
    if (fs.existsSync(place) && fs.readdirSync(place).length > 0)
      throw new Misuse(`${place} is not empty: name a new directory`);
    places.set(oid, place);
  }
  return places;
}

function makeTablespaces({ target, tablespaces }) {
  for (const [oid, place] of tablespaces) {
    makeEmptyDirectory(place);
    fs.mkdirSync(path.join(target.directory, 'pg_tblspc'), { recursive: true, mode: 0o700 });
    fs.symlinkSync(place, path.join(target.directory, 'pg_tblspc', oid));
  }
}

function writeClusterEntry(work, entry, tablespaces, special) {
  const { path: entryPath, kind, meta } = entry;
  if (kind === 'pg.stamps') return;
  const [, oid] = /^pg_tblspc\/(\d+)$/.exec(entryPath) ?? [];
  if (oid !== undefined && tablespaces.has(oid)) return; // is a link already
  const place = work.target.place(entryPath);
  if (kind === 'pg.directory') fs.mkdirSync(place, { recursive: true, mode: 0o700 });
  else if (kind === 'pg.label' || kind === 'pg.control') special.set(entryPath, entry);
  else if (kind !== 'pg.relation' && kind !== 'pg.file')
    throw new Damage(`it is of a kind that is not known: ${kind}`);
  // The server knows its files by their names: a damaged one keeps its own.
  else if (!notRestored.has(entryPath))
    work.writeEntry(entry, place, { mode: (meta.mode ?? 0o600) & 0o777 }, false);
}

/** A small file that has to be whole or not there at all. */
function writeSpecial(work, name, entry) {
  const bytes = wholeStream(work.chunks, entry.stream);
  const file = path.join(work.target.directory, name);
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeText(file, bytes);
  if (fs.statSync(file).size !== entry.stream.size_bytes) throw new Damage('it was not written whole');
  wholeThings += 1;
  return true;
}

/**
 * `tablespace_map` with the new places: lines of `OID path`, in which a backslash stands before each newline, carriage
 * return and backslash of the path. The server makes its links anew by it.
 */
function writeTablespaceMap(work, entry, tablespaces) {
  const text = wholeStream(work.chunks, entry.stream).toString();
  const lines = text.match(/(?:\\[^]|[^\\\n])+/g) ?? [];
  const placed = lines
    .map((line) => line.split(' ', 1)[0])
    .filter((oid) => tablespaces.has(oid))
    .map((oid) => `${oid} ${tablespaces.get(oid).replaceAll(/[\n\r\\]/g, '\\$&')}\n`);
  if (placed.length > 0) writeText(path.join(work.target.directory, 'tablespace_map'), placed.join(''));
}

const targetSettings = [
  'recovery_target',
  'recovery_target_name',
  'recovery_target_xid',
  'recovery_target_lsn',
  'recovery_target_time',
];

/** Settings of a recovery by the archive, in their order; null without --recover. */
function planRecovery(repository, { metadata }, options) {
  if (!options.recover) {
    if (options.at !== undefined || options.timeline !== undefined)
      throw new Misuse('--at and --timeline need --recover');
    return null;
  }
  const settings = [['restore_command', restoreCommand(repository, metadata.wal_archive, options)]];
  const { timeline = 'latest', at } = options;
  if (!/^(?:\d+|latest|current)$/.test(timeline)) throw new Misuse('--timeline is a number, or latest');
  settings.push(['recovery_target_timeline', timeline]);
  // Two targets at once stop PostgreSQL from starting: what the server's own files may set is unset. The last one counts.
  for (const name of targetSettings)
    settings.push([name, name === 'recovery_target_time' && at !== undefined ? at : '']);
  settings.push(['recovery_target_inclusive', 'on'], ['recovery_target_action', 'promote']);
  settings.push(
    ['archive_cleanup_command', ''],
    ['recovery_end_command', ''],
    ['recovery_min_apply_delay', '0'],
  );
  // It asks for segments behind the target, and one of those may be damaged.
  if (metadata.server_version_num >= 150_000) settings.push(['recovery_prefetch', 'off']);
  if (at === undefined) return settings;
  const [, day, time, hours, minutes = '00'] =
    /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?(Z|UTC|[+-]\d\d)(?::?(\d\d))?$/.exec(at) ??
    [];
  if (day === undefined)
    throw new Misuse(`--at ${at}: write it like '2026-11-21 20:15:30+00', with the time zone`);
  const moment = Date.parse(`${day}T${time}${/\d/.test(hours) ? `${hours}:${minutes}` : 'Z'}`);
  if (moment < Date.parse(metadata.stopped_at))
    throw new Misuse(
      `this backup only leads to moments from ${metadata.stopped_at} on: take an earlier backup for ${at}`,
    );
  return settings;
}

/** This very file, as PostgreSQL's restore_command: by the server's user, without a terminal. */
function restoreCommand(repository, archive, options) {
  const words = [
    process.execPath,
    fs.realpathSync(import.meta.filename),
    'wal',
    fs.realpathSync(repository.directory),
    archive,
  ];
  const quoted = words.map((word) => shellWord(word).replaceAll('%', '%%'));
  const file = options['passphrase-file'] ?? process.env.HOLDFAST_PASSPHRASE_FILE;
  if (repository.encrypted && file === undefined)
    throw new Misuse(
      '--recover needs --passphrase-file FILE: the server opens the repository by itself, and its user has to be able to read that file',
    );
  const key = repository.encrypted
    ? ` --passphrase-file ${shellWord(path.resolve(file)).replaceAll('%', '%%')}`
    : '';
  return `${quoted.join(' ')} %f "%p"${key}`;
}

const confLine = ([name, value]) => `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`;

/**
 * A server has to start from the restored directory alone. Configuration that lay elsewhere is put into holdfast.config/
 * for people; what is missing is written as small as it can be. It must not archive: on its old timeline it would
 * contradict the server that was backed up.
 */
function settleConfiguration(work, recovery) {
  const { directory } = work.target;
  const main = path.join(directory, 'postgresql.conf');
  if (fs.existsSync(main)) {
    // The old directory may be there, with another server in it.
    const elsewhere = /^[ \t]*(?:data_directory|hba_file|ident_file|external_pid_file)[ \t]*=?[ \t]*'?\//gim;
    const text = fs.readFileSync(main, 'latin1');
    const settled = text.replaceAll(elsewhere, '# commented out by holdfast-restore: $&');
    if (settled !== text) {
      fs.writeFileSync(main, settled, 'latin1');
      note('Note: settings in postgresql.conf that lead to other directories were commented out.');
    }
  }
  const missing = [];
  const least = {
    'postgresql.conf': 'hot_standby = off\n',
    'pg_hba.conf': 'local all all peer\n',
    'pg_ident.conf': '',
  };
  for (const [name, text] of Object.entries(least)) {
    if (fs.existsSync(path.join(directory, name))) continue;
    writeText(
      path.join(directory, name),
      `# Not in the data directory of the backup: written by holdfast-restore, as little as will do.\n${text}`,
    );
    missing.push(name);
  }
  if (missing.length > 0)
    note(
      `Note: ${missing.join(', ')} lay outside the data directory: the least was written. ${fs.existsSync(path.join(directory, configFolder)) ? `Those of the server are in ${configFolder}` : 'The backup does not have them.'}`,
    );
  const auto = path.join(directory, 'postgresql.auto.conf');
  const lines = fs.existsSync(auto) ? fs.readFileSync(auto, 'latin1').split('\n') : [];
  const kept = lines.filter(
    (line) => !/^\s*(?:restore_command|recovery_\w+|archive_mode|archive_cleanup_command)\b/i.test(line),
  );
  const ours = Buffer.from([...(recovery ?? []), ['archive_mode', 'off']].map(confLine).join(''));
  const head = Buffer.from(kept.join('\n').replace(/\n*$/, kept.length > 0 ? '\n' : ''), 'latin1');
  writeText(auto, Buffer.concat([head, Buffer.from('# written by holdfast-restore\n'), ours]));
}

/** What the server needs to become consistent goes into pg_wal, as whole segments. */
function writeWal(work, archive) {
  const { timeline, start_lsn, stop_lsn, wal_archive } = work.manifest.metadata;
  if (archive === null) {
    troubles.add(
      `the WAL of this backup (archive ${wal_archive}) is not in the repository: the server will not start`,
    );
    return;
  }
  const folder = path.join(work.target.directory, 'pg_wal');
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stop = parseLsn(stop_lsn);
  const first = (parseLsn(start_lsn) / archive.segmentBytes) * archive.segmentBytes;
  for (let start = first; start < stop; start += archive.segmentBytes) {
    const name = archive.segmentName(timeline, start);
    attempt(`pg_wal/${name}`, () => {
      const reached = start + writeSegment(archive, timeline, start, path.join(folder, name));
      const needed = stop < start + archive.segmentBytes ? stop : start + archive.segmentBytes;
      if (reached < needed)
        throw new Damage(
          `the WAL ends at ${showLsn(reached)}, and the backup is consistent at ${stop_lsn} only`,
        );
    });
  }
  for (const file of archive.files()) {
    const [, digits] = /^([0-9a-f]{8})\.history$/.exec(file) ?? [];
    if (digits === undefined || Number.parseInt(digits, 16) > timeline) continue;
    const name = `${digits.toUpperCase()}.history`;
    attempt(`pg_wal/${name}`, () => writeText(path.join(folder, name), archive.readFile(name)));
  }
}

/** Writes a segment as PostgreSQL has it, filled up with zeros where the WAL ends in it. Returns how much of it there is. */
function writeSegment(archive, timeline, start, file) {
  const fd = fs.openSync(file, 'wx', 0o600);
  try {
    const bytes = archive.readSegment(timeline, start, (unit) => writeAll(fd, unit));
    fs.ftruncateSync(fd, Number(archive.segmentBytes));
    fs.fsyncSync(fd);
    return bytes;
  } finally {
    fs.closeSync(fd);
  }
}

function clusterWords({ manifest, target, repository, options }, tablespaces, recovery) {
  const { server_version_num: version, timeline } = manifest.metadata;
  const places = [
    target.directory,
    ...[...tablespaces.values()].filter((place) => !place.startsWith(`${target.directory}/`)),
  ];
  const directory = shellWord(target.directory);
  const lines = [
    `The data directory of a PostgreSQL ${Math.floor(version / 10_000)} server. It needs that major version, and its user has to own it:`,
    '',
    `  chown -R postgres: ${places.map(shellWord).join(' ')}`,
    `  pg_ctl -D ${directory} -l ${shellWord(`${target.directory}.log`)} start        (as that user)`,
    '',
  ];
  if (recovery === null)
    lines.push(
      `It starts as it was at the end of the backup, on timeline ${timeline}; with --recover it would go on by the archived WAL.`,
    );
  else {
    const until = options.at === undefined ? 'the end of the archived WAL' : options.at;
    lines.push(
      `It recovers to ${until}, and opens on a new timeline. While it does, its user has to be able to read`,
    );
    lines.push(
      `${repository.directory}, ${import.meta.filename}${repository.encrypted ? ' and the passphrase file' : ''}.`,
    );
  }
  lines.push(
    'archive_mode is off in postgresql.auto.conf: ALTER SYSTEM RESET archive_mode once backups are set up anew.',
  );
  if (troubles.count > 0)
    lines.push(
      '',
      'SOMETHING IS DAMAGED. Use this server for nothing but to copy data out of it, and look at them.',
    );
  return lines.join('\n');
}

// ======================================================================================================================
// 10. COMMANDS
// ======================================================================================================================

function listCommand(repository) {
  const rows = [['ID', 'STARTED (UTC)', 'SOURCE', 'KIND', 'SIZE', '']];
  for (const { id, started_at, source, stats, incomplete, tags } of readableBackups(repository)) {
    const time = started_at.slice(0, 19).replace('T', ' ');
    const told = [
      incomplete === undefined ? '' : 'INCOMPLETE',
      ...Object.entries(tags).map(([key, value]) => `${key}=${value}`),
    ];
    rows.push([
      id.slice(0, 12),
      time,
      source.name,
      source.kind,
      size(stats.bytes ?? stats.bytes_read),
      told.filter(Boolean).join(' '),
    ]);
    wholeThings += 1;
  }
  if (rows.length === 1 && troubles.count === 0) say('There are no backups in this repository.');
  else {
    const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
    for (const row of rows)
      say(
        row
          .map((cell, column) => cell.padEnd(widths[column]))
          .join('  ')
          .trimEnd(),
      );
  }
  for (const archive of walArchives(repository)) {
    wholeThings += 1;
    say(`\nWAL of ${archive.source} (archive ${archive.id}, system identifier ${archive.systemIdentifier})`);
    for (const timeline of archive.timelines())
      for (const { start, end } of runsOf(archive.stretches(timeline)))
        say(`  timeline ${timeline}: ${showLsn(start)} to ${showLsn(end)}`);
  }
}

/** Stretches put together where one begins no later than the last ones ended. */
function runsOf(stretches) {
  const runs = [];
  for (const { start, end } of stretches) {
    const last = runs.at(-1);
    if (last === undefined || start > last.end) runs.push({ start, end });
    else if (end > last.end) last.end = end;
  }
  return runs;
}

function infoCommand(repository, id) {
  const manifest = findBackup(repository, id);
  const { source, origin, stats, metadata, warnings, incomplete, tags } = manifest;
  say(`backup     ${manifest.id}`);
  say(
    `source     ${source.name} (${source.kind}), on ${origin.host} by ${origin.user}, Holdfast ${origin.holdfast_version}`,
  );
  say(`taken      ${manifest.started_at} to ${manifest.finished_at}`);
  say(
    `size       ${size(stats.bytes ?? stats.bytes_read)} in ${plural(manifest.entries.count, 'entry', 'entries')}`,
  );
  for (const [key, value] of Object.entries(tags)) say(`tag        ${key}=${value}`);
  if (incomplete !== undefined) say(`INCOMPLETE ${incomplete}`);
  for (const warning of warnings) say(`warning    ${warning}`);
  if (source.kind === 'postgres-cluster') {
    say(
      `server     PostgreSQL ${metadata.server_version}, timeline ${metadata.timeline}, system identifier ${metadata.system_identifier}`,
    );
    say(
      `WAL        archive ${metadata.wal_archive}, needed from ${metadata.start_lsn} to ${metadata.stop_lsn}; recovers to moments from ${metadata.stopped_at} on`,
    );
    for (const { oid, path: place } of metadata.tablespaces) say(`tablespace ${oid} was at ${place}`);
  }
  say('');
  const chunks = new Chunks(repository);
  for (const { path: entryPath, kind, stream } of entriesOf(chunks, manifest)) {
    if (kind === 'pg.stamps' || kind === 'sqlite.page-hashes') continue;
    say(`${(stream === null ? '' : size(stream.size_bytes)).padStart(8)}  ${kind.padEnd(15)}  ${entryPath}`);
    wholeThings += 1;
  }
}

async function restoreCommandLine(repository, id, options) {
  if (options.to === undefined) throw new Misuse('restore needs --to DIRECTORY');
  const manifest = findBackup(repository, id);
  const { source } = manifest;
  // What cannot be done is refused before anything is written.
  const isCluster = source.kind === 'postgres-cluster';
  const recovery = isCluster ? planRecovery(repository, manifest, options) : null;
  const tablespaces = isCluster ? planTablespaces(manifest, options) : null;
  for (const name of ['recover', 'at', 'timeline', 'tablespace'])
    if (!isCluster && options[name] !== undefined)
      throw new Misuse(`--${name} is for PostgreSQL clusters; this backup is of kind ${source.kind}`);
  const target = new Target(options.to, repository);
  note(
    `Restoring backup ${manifest.id} of ${source.name} (${source.kind}), taken ${manifest.started_at}, to ${target.directory}`,
  );
  if (manifest.incomplete !== undefined)
    note(`Note: the backup itself is not complete: ${manifest.incomplete}`);
  const chunks = new Chunks(repository);
  const work = new Work({ repository, chunks, manifest, target, options, recovery, tablespaces });
  const words = await restoreKind(work);
  if (wholeThings === 0 && troubles.count === 0) {
    if (options.only !== undefined) {
      target.abandon();
      throw new Stop('nothing in the backup has such a path; info shows what it holds');
    }
    note('Note: the backup is empty.');
  }
  target.finish();
  work.last();
  if (words !== '') say(words);
  if (troubles.count === 0) say(`Done: all is restored and on the disk, in ${target.directory}`);
  else
    say(
      `Done, but ${plural(troubles.count, 'thing')} could not be had: see ${path.join(target.directory, damageName)}`,
    );
}

/** Reads all that backups need, each chunk once. */
function checkCommand(repository, id) {
  const chunks = new Chunks(repository);
  const archives = walArchives(repository);
  const manifests = id === undefined ? readableBackups(repository) : [findBackup(repository, id)];
  for (const manifest of manifests) {
    const before = troubles.count;
    const name = `backup ${manifest.id.slice(0, 12)} of ${manifest.source.name}`;
    for (const { path: entryPath, stream } of entriesOf(chunks, manifest)) {
      const reasons = new Set();
      if (stream !== null) for (const gap of chunks.damagedPieces(stream)) reasons.add(gap.reason);
      if (reasons.size === 0) wholeThings += 1;
      else
        troubles.add(
          `${name}: ${entryPath}: ${[...reasons].slice(0, 3).join('; ')}${reasons.size > 3 ? `; and ${reasons.size - 3} more` : ''}`,
        );
    }
    if (manifest.source.kind === 'postgres-cluster') checkWalOf(name, manifest.metadata, archives);
    say(`${name}, ${manifest.started_at}: ${troubles.count === before ? 'whole' : 'DAMAGED'}`);
  }
  if (id !== undefined) return;
  checkHistory(repository);
  for (const archive of archives) checkArchive(archive);
}

/** The WAL that a backup of a cluster needs to become consistent. */
function checkWalOf(name, { timeline, start_lsn, stop_lsn, wal_archive }, archives) {
  const archive = archives.find((one) => one.id === wal_archive);
  if (archive === undefined) {
    troubles.add(`${name}: its WAL (archive ${wal_archive}) is not in the repository`);
    return;
  }
  const stop = parseLsn(stop_lsn);
  let reach = parseLsn(start_lsn);
  try {
    while (reach < stop) {
      const unit = (reach / archive.unitBytes) * archive.unitBytes;
      const end = unit + BigInt(archive.readUnit(timeline, unit).length);
      if (end <= reach) break;
      reach = end;
    }
    if (reach < stop) troubles.add(`${name}: WAL from ${showLsn(reach)} to ${stop_lsn} is not there`);
  } catch (error) {
    if (!(error instanceof Damage)) throw error;
    troubles.add(`${name}: ${error.message}`);
  }
}

/** All WAL that is stored. A gap is no damage by itself: WAL before the oldest backup may be gone, and a server may have been away. */
function checkArchive(archive) {
  const before = troubles.count;
  const inspect = (what, work) => {
    try {
      work();
      wholeThings += 1;
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      troubles.add(`WAL of ${archive.source}: ${what}: ${error.message}`);
    }
  };
  for (const timeline of archive.timelines()) {
    for (const stretch of archive.stretches(timeline))
      inspect(`timeline ${timeline}, ${showLsn(stretch.start)} to ${showLsn(stretch.end)}`, () =>
        archive.readStretch(stretch),
      );
    const [, ...later] = runsOf(archive.stretches(timeline));
    for (const { start } of later)
      note(`Note: WAL of ${archive.source}, timeline ${timeline}: there is a gap before ${showLsn(start)}`);
  }
  for (const file of archive.files()) inspect(file, () => archive.readFile(file));
  say(`WAL of ${archive.source} (archive ${archive.id}): ${troubles.count === before ? 'whole' : 'DAMAGED'}`);
}

/** Each manifest names those before it: one that was removed or lost shows, as long as a later one is there. */
function checkHistory(repository) {
  const there = new Map();
  const named = new Map();
  for (const name of backupNames(repository)) {
    try {
      const { manifest, sha256 } = readManifest(repository, name);
      there.set(manifest.id, sha256);
      // An agent names those before it by their ids alone where it has not seen them.
      for (const { id, sha256: expected } of manifest.previous)
        if (expected !== null || !named.has(id)) named.set(id, expected);
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      there.set(snapshotName.exec(name)[3], null); // was named already
    }
  }
  const gone = [];
  for (const [id, expected] of named) {
    const found = there.get(id);
    if (found === undefined) gone.push(id.slice(0, 12));
    else if (found !== null && expected !== null && found !== expected)
      troubles.add(`backup ${id.slice(0, 12)} is not the one that was there when later ones were made`);
  }
  if (gone.length > 0)
    note(
      `Note: ${plural(gone.length, 'backup that a later one names is', 'backups that later ones name are')} gone: removed, or not copied (${gone.slice(0, 5).join(', ')}${gone.length > 5 ? ', …' : ''})`,
    );
}

/**
 * Gives PostgreSQL what it asks for. Returns false when it is not there, which is how a recovery finds the end; everything
 * else has to stop it.
 */
function walCommand(repository, whose, name, file) {
  const archives = walArchives(repository).filter(({ id, source }) => id === whose || source === whose);
  if (archives.length === 0)
    throw new Misuse(`there is no WAL of ${whose}; list shows the archives there are`);
  if (archives.length > 1)
    throw new Misuse(
      `${whose} has had several clusters; name the archive: ${archives.map(({ id, systemIdentifier }) => `${id} (system ${systemIdentifier})`).join(', ')}`,
    );
  const [archive] = archives;
  const part = `${file}.holdfast-part`;
  fs.rmSync(part, { force: true });
  try {
    const segment = archive.segmentOf(name);
    if (segment !== null) {
      if (writeSegment(archive, segment.timeline, segment.start, part) === 0n) return false;
    } else {
      if (!/^[0-9A-F]{8,24}(?:\.[0-9A-F]{8})?\.(?:history|backup|partial)$/.test(name))
        throw new Misuse(`${name} is no name that PostgreSQL gives to WAL`);
      const bytes = archive.readFile(name);
      if (bytes === null) return false;
      writeText(part, bytes);
      flush(part);
    }
    fs.renameSync(part, file);
    flush(path.dirname(path.resolve(file)));
    return true;
  } finally {
    fs.rmSync(part, { force: true });
  }
}

function parseCommand(args) {
  const text = { type: 'string' };
  const options = {
    'passphrase-file': text,
    to: text,
    only: { ...text, multiple: true },
    tablespace: { ...text, multiple: true },
    recover: { type: 'boolean' },
    at: text,
    timeline: text,
    help: { type: 'boolean', short: 'h' },
  };
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new Misuse(reasonOf(error));
  }
  const { values, positionals } = parsed;
  if (values.help === true || positionals.length === 0) return null;
  values.only = values.only?.map((wanted) => wanted.replace(/^\.\/(?=.)/, '').replace(/(?<=.)\/+$/, ''));
  const [command, ...rest] = positionals;
  const wanted = { list: [1, 1], info: [2, 2], restore: [2, 2], check: [1, 2], wal: [4, 4] }[command];
  if (wanted === undefined) throw new Misuse(`there is no command ${command}`);
  if (rest.length < wanted[0] || rest.length > wanted[1])
    throw new Misuse(`${command}: wrong number of arguments`);
  return { command, rest, values };
}

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 24 || (major === 24 && minor < 7))
    throw new Misuse(
      `Node.js 24.7 or newer is needed, and this is ${process.versions.node}: see https://nodejs.org`,
    );
}

async function main(args) {
  requireNode();
  const parsed = parseCommand(args);
  if (parsed === null) {
    say(usage);
    return 0;
  }
  const { command, rest, values } = parsed;
  const [directory, ...words] = rest;
  const repository = await openRepository(path.resolve(directory), values['passphrase-file']);
  if (command === 'wal') return walCommand(repository, ...words) ? 0 : 1;
  if (command === 'list') listCommand(repository);
  else if (command === 'info') infoCommand(repository, words[0]);
  else if (command === 'check') checkCommand(repository, words[0]);
  else await restoreCommandLine(repository, words[0], values);
  if (troubles.count === 0) return 0;
  return wholeThings > 0 ? 3 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isExpected = error instanceof Misuse || error instanceof Damage || error instanceof Stop;
  note(isExpected || error.code !== undefined ? `holdfast-restore: ${reasonOf(error)}` : error.stack);
  if (error instanceof Misuse) note('holdfast-restore: --help shows the commands');
  const isWal = process.argv[2] === 'wal';
  process.exitCode = isWal ? 126 : error instanceof Misuse ? 2 : 1;
}
