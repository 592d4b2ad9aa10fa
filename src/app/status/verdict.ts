import type { PlaceStatus } from './places.ts';
import type { SourceStatus } from './sources.ts';
import type { LastVerification } from './verification.ts';

/** Something that is not as it should be. */
export interface Amiss {
  /** Critical: it would be missed in a disaster. */
  readonly level: 'critical' | 'warning';
  /** The source, place or thing that it is about. */
  readonly about: string;
  readonly message: string;
  /** What to do next. */
  readonly hint: string;
}

export interface Health {
  readonly sources: readonly SourceStatus[];
  readonly places: readonly PlaceStatus[];
  readonly verification: LastVerification | null;
  /** Ids of backups whose manifest cannot be read. */
  readonly unreadable: readonly string[];
}

/** All that is amiss, the critical first. */
export function amissIn({ sources, places, verification, unreadable }: Health): Amiss[] {
  const all = [
    ...sources.filter(({ configured }) => configured).flatMap((one) => [...ofSource(one)]),
    ...places.flatMap((one) => [...ofPlace(one)]),
    ...ofVerification(verification),
    ...unreadable.map((id) =>
      warning(id.slice(0, 8), `the manifest of backup ${id.slice(0, 8)} cannot be read`, 'holdfast verify'),
    ),
  ];
  return all.toSorted((a, b) => Number(b.level === 'critical') - Number(a.level === 'critical'));
}

function* ofSource({
  source,
  last_good: good,
  incomplete,
  late,
  wal,
  max_age_seconds: maxAge,
  age_seconds: age,
}: SourceStatus): Generator<Amiss> {
  const again = `holdfast backup ${source}`;
  if (good === null) yield critical(source, `${source} has no good backup`, again);
  else if (late)
    yield critical(
      source,
      `the newest good backup of ${source} is ${hours(age ?? 0)} old, and ${hours(maxAge ?? 0)} are allowed`,
      again,
    );
  if (incomplete !== null)
    yield warning(
      source,
      `the newest backup of ${source} is incomplete: ${incomplete.reason}`,
      `holdfast info ${incomplete.id.slice(0, 8)}`,
    );
  if (wal !== null && wal.error !== null)
    yield critical(
      source,
      `${source}: ${String(wal.error['message'])}`,
      `holdfast wal status --source ${source}`,
    );
}

function* ofPlace(place: PlaceStatus): Generator<Amiss> {
  const { name, location, primary, error, behind } = place;
  if (error !== null) {
    const what = primary ? 'the repository' : 'the copy';
    const message = `${what} ${name} cannot be used: ${String(error['message'])}`;
    yield (primary ? critical : warning)(name, message, hintOf(place));
  } else if (behind !== null && behind.backups > 0) {
    const count = behind.backups === 1 ? '1 backup' : `${behind.backups} backups`;
    const which = name === location ? `in ${location}` : name;
    yield warning(name, `the copy ${which} lacks ${count}`, `holdfast sync --to ${name}`);
  }
  if (!primary && place.verification !== null && place.verification.lasting_problems > 0) {
    const found = `the last verification of the copy ${name}, of ${place.verification.at}, found ${problemsIn(place.verification)}`;
    yield critical(name, found, `holdfast verify --repo ${name} --repair`);
  }
}

/** Of the age of backups this command knows more than the last verification. */
function* ofVerification(last: LastVerification | null): Generator<Amiss> {
  if (last === null || last.lasting_problems === 0) return;
  yield critical(
    'verify',
    `the last verification, of ${last.at}, found ${problemsIn(last)}`,
    'holdfast verify; then docs/operations.md#verify-found-damage',
  );
}

function problemsIn({ lasting_problems: problems }: LastVerification): string {
  return problems === 1 ? '1 problem' : `${problems} problems`;
}

/** A copy that was never made is made by the first sync. */
function hintOf({ name, primary, error }: PlaceStatus): string {
  const { name: errorName, hint } = error ?? {};
  if (!primary && (errorName === 'storage_missing' || errorName === 'repository_missing'))
    return `is it mounted? Where it was never there: holdfast sync --to ${name}`;
  return typeof hint === 'string' ? hint : 'holdfast doctor';
}

function hours(seconds: number): string {
  return seconds >= 172_800 ? `${Math.floor(seconds / 86_400)} days` : `${Math.floor(seconds / 3600)} hours`;
}

function critical(about: string, message: string, hint: string): Amiss {
  return { level: 'critical', about, message, hint };
}

function warning(about: string, message: string, hint: string): Amiss {
  return { level: 'warning', about, message, hint };
}
