import { open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import {
  decodeCredentials,
  encodeCredentials,
  type AgentCredentials,
} from '../repository/agent/credentials.ts';
import { unreadable } from './unreadable.ts';

/** The credentials in the file that `encryption.agent_file` names. `secret_file_missing`, `config_unreadable`, `agent_file_wrong`. */
export async function readAgentFile(path: string, location: string): Promise<AgentCredentials> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw failure('secret_file_missing', { path, setting: 'encryption.agent_file' }, { cause: error });
    throw await unreadable(path, error);
  }
  try {
    return decodeCredentials(bytes);
  } catch (error) {
    const reason = `the file is not one that holdfast key agent has made, or it is damaged: ${firstLineOf(error)}`;
    throw failure('agent_file_wrong', { path, location, reason }, { cause: error });
  }
}

/** Puts credentials into a new file that only its owner can read, durably. `agent_out_exists`. */
export async function writeAgentFile(path: string, credentials: AgentCredentials): Promise<void> {
  try {
    await using file = await open(path, 'wx', 0o600);
    await file.writeFile(encodeCredentials(credentials));
    await file.sync();
    await using directory = await open(dirname(path), 'r');
    await directory.sync();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? 'there is a file already' : reasonOf(error);
    throw failure('agent_out_exists', { path, reason }, { cause: error });
  }
}

/** What a schema finds takes lines; that it is no such file is enough. */
function firstLineOf(error: unknown): string {
  const text = reasonOf(error);
  return text.startsWith('[') || text.startsWith('{')
    ? 'its fields are others'
    : (text.split('\n', 1)[0] ?? '');
}
