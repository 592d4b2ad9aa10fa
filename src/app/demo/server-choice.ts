import { failure } from '../../kernel/errors/failure.ts';
import { majorOf, systemServers, type PostgresBinaries } from '../local-postgres/binaries.ts';
import { embeddedMajors, embeddedServer } from '../local-postgres/embedded.ts';
import type { ServerUser } from '../local-postgres/server-user.ts';

/**
 * The newest server that client tools of that major serve, of those from npm; where there is none, of those installed
 * on this machine. Where `user` cannot reach npm's, it is copied into `copies`. Throws `demo_no_server`.
 */
export function chooseServer(
  toolsMajor: number,
  user: ServerUser | undefined,
  copies: string,
): PostgresBinaries {
  const troubles: string[] = [];
  for (const major of embeddedMajors.filter((one) => one <= toolsMajor)) {
    const found = embeddedServer(major, user, copies);
    if (typeof found === 'string') troubles.push(found);
    else if (majorOf(found.binDirectory) === major) return found;
    else troubles.push(`${found.binDirectory}/postgres does not run here`);
  }
  const installed = systemServers(user);
  const served = installed.find(({ major }) => major <= toolsMajor);
  if (served !== undefined) return served;
  const [newer] = installed;
  const reason =
    newer === undefined
      ? [`no server is installed`, ...troubles.slice(0, 1)].join('; ')
      : `PostgreSQL ${newer.major} is installed, and pg_dump ${toolsMajor} is older`;
  throw failure('demo_no_server', { reason });
}
