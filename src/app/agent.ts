import { resolve } from 'node:path';
import { failure } from '../kernel/errors/failure.ts';
import { makeCredentials } from '../repository/agent/credentials.ts';
import { parseLocation } from '../storage/open.ts';
import { writeAgentFile } from './agent-file.ts';
import { agentPolicy } from './agent-policy.ts';
import {
  openConfiguredRepository,
  withApp,
  type App,
  type AppContext,
  type CommonOptions,
  type Outcome,
} from './compose.ts';
import { storageSettingsOf } from './places.ts';

export interface AgentOptions extends CommonOptions {
  /** The file that is made. */
  readonly out?: string | undefined;
  readonly label?: string | undefined;
  /** Print what the storage has to allow instead. */
  readonly policy?: 's3' | undefined;
}

export interface AgentResult extends Outcome {
  readonly agent: {
    readonly repository: string;
    readonly location: string;
    readonly label: string;
    readonly path: string;
  } | null;
  /** A policy of S3. */
  readonly policy: Readonly<Record<string, unknown>> | null;
}

/** Makes credentials with which a machine can add backups and WAL, and nothing else; or says what the storage has to allow it. */
export async function makeAgent(options: AgentOptions, context: AppContext): Promise<AgentResult> {
  const { out } = options;
  if ((out === undefined) === (options.policy === undefined)) {
    throw failure('usage', {
      reason: 'one of --out and --policy is needed',
      suggestion: 'holdfast key agent --out agent.json, or holdfast key agent --policy s3',
    });
  }
  if (out === undefined)
    return withApp(options, context, null, async (app) => ({
      schema: 1,
      ok: true,
      agent: null,
      policy: policyFor(app),
    }));
  return withApp(options, context, { name: 'key agent' }, async (app) => {
    await using repository = await openConfiguredRepository(app);
    const { machine } = app;
    const label = options.label ?? `agent of ${machine.user}@${machine.host}`;
    const about = { label, nowMs: machine.clock.now() };
    const credentials = await makeCredentials(repository.storage, repository.pipelineKeys, about);
    const path = resolve(machine.cwd, out);
    await writeAgentFile(path, credentials);
    const { location } = repository.storage;
    return {
      schema: 1,
      ok: true,
      agent: { repository: repository.info.id, location, label, path },
      policy: null,
    };
  });
}

function policyFor(app: App): Readonly<Record<string, unknown>> {
  const { config, env, machine } = app;
  const { cwd, home } = machine;
  const place = parseLocation(config.repository, { cwd, home });
  if (place.scheme !== 's3') {
    throw failure('usage', {
      reason: `the repository is not in S3 but in ${config.repository}`,
      suggestion: 'name one with --repo s3://bucket/prefix; for other storages see docs/agents.md',
    });
  }
  const settings = storageSettingsOf(config, config.repository).s3;
  const endpoint =
    place.overrides['endpoint'] ??
    settings.endpoint ??
    env['AWS_ENDPOINT_URL_S3'] ??
    env['AWS_ENDPOINT_URL'] ??
    '';
  const isAws = endpoint === '' || /\.amazonaws\.com(?:\.cn)?(?:[:/]|$)/.test(endpoint);
  return agentPolicy({ ...place, isAws, settings });
}
