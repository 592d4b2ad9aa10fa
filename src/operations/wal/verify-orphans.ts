import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { authenticateObject } from '../../repository/authenticate.ts';
import { walAboutObject, walAboutPrefix, walPrefix } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Findings } from '../verify-findings.ts';
import { tellDamage } from '../verify-objects.ts';

/**
 * Reads WAL of archives that could not be opened, because the object about them is damaged or gone: each object by its
 * seal alone. An archive of which nothing tells any more is named.
 */
export async function verifyOrphans(
  repository: Repository,
  checked: ReadonlySet<string>,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const { storage, pipelineKeys } = repository;
  const { location } = storage;
  const told = findings.subjects();
  const named = new Set<string>();
  for await (const { name } of storage.list(walPrefix, { signal })) {
    const id = name.slice(walPrefix.length).split('/', 1)[0] ?? '';
    if (name.startsWith(walAboutPrefix) || checked.has(id)) continue;
    const about = walAboutObject(id);
    if (!named.has(id) && !told.has(about))
      findings.add(about, failure('object_missing', { name: about, location }));
    named.add(id);
    findings.objectsChecked += 1;
    try {
      const bytes = await storage.get(name, { signal });
      findings.bytesRead += bytes.length;
      authenticateObject(pipelineKeys, name, bytes);
    } catch (error) {
      // A part may have been dropped since it was listed, being in a whole unit.
      if (!isFailure(error, 'object_missing')) tellDamage(findings, name, error, signal);
    }
  }
}
