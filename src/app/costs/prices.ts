import type { S3Config } from '../../contract/config-s3.ts';
import type { StorageSettings } from '../../contract/config-storage.ts';

/** What a service takes, in the currency of {@link PriceList}. */
export interface Prices {
  /** For a GB and month. */
  readonly storage: number;
  /** For a thousand requests that store, that list, that read. Deleting costs nothing anywhere. */
  readonly puts: number;
  readonly lists: number;
  readonly gets: number;
}

export interface PriceList {
  /** Whose prices, for people. */
  readonly name: string;
  readonly currency: string | null;
  /** Bytes of what the service calls a GB. */
  readonly gbBytes: number;
  /** Of packs, by their storage class. */
  readonly packs: Prices;
  /** Of everything else. */
  readonly others: Prices;
}

type Service = Omit<PriceList, 'packs' | 'others'> & { readonly classes: Readonly<Record<string, Prices>> };

const gib = 2 ** 30;
const listed = { currency: 'USD' } as const;

/** Public list prices without free tiers and quantity discounts; docs/storage-s3.md shows them. */
const amazon: Service = {
  ...listed,
  name: 'Amazon S3, us-east-1',
  gbBytes: gib,
  classes: {
    STANDARD: { storage: 0.023, puts: 0.005, lists: 0.005, gets: 0.0004 },
    INTELLIGENT_TIERING: { storage: 0.023, puts: 0.005, lists: 0.005, gets: 0.0004 },
    STANDARD_IA: { storage: 0.0125, puts: 0.01, lists: 0.005, gets: 0.001 },
    ONEZONE_IA: { storage: 0.01, puts: 0.01, lists: 0.005, gets: 0.001 },
    GLACIER_IR: { storage: 0.004, puts: 0.02, lists: 0.005, gets: 0.01 },
  },
};

const cloudflare: Service = {
  ...listed,
  name: 'Cloudflare R2',
  gbBytes: 1e9,
  classes: {
    STANDARD: { storage: 0.015, puts: 0.0045, lists: 0.0045, gets: 0.00036 },
    STANDARD_IA: { storage: 0.01, puts: 0.009, lists: 0.0045, gets: 0.0009 },
  },
};

const backblaze: Service = {
  ...listed,
  name: 'Backblaze B2',
  gbBytes: 1e9,
  classes: { STANDARD: { storage: 0.006, puts: 0, lists: 0.004, gets: 0.0004 } },
};

const google: Service = {
  ...listed,
  name: 'Google Cloud Storage, us-central1',
  gbBytes: gib,
  classes: {
    STANDARD: { storage: 0.02, puts: 0.005, lists: 0.005, gets: 0.0004 },
    NEARLINE: { storage: 0.01, puts: 0.01, lists: 0.005, gets: 0.001 },
    COLDLINE: { storage: 0.004, puts: 0.02, lists: 0.005, gets: 0.01 },
  },
};

/** The prices at a place: those of the settings, else the list of its service; undefined where neither is known. */
export function pricesAt(
  location: string,
  settings: Pick<StorageSettings, 's3' | 'gs'>,
  env: Readonly<Record<string, string | undefined>>,
): PriceList | undefined {
  if (location.startsWith('gs:')) return listOf(google, settings.gs.storage_class);
  if (!location.startsWith('s3:')) return undefined;
  const { s3 } = settings;
  return withOwnPrices(s3, listOf(serviceAt(s3, env), s3.storage_class));
}

/** Those of the settings count before the list; without a list that of storage must be there. */
function withOwnPrices(s3: S3Config, list: PriceList | undefined): PriceList | undefined {
  const { price_storage: storage, price_puts: puts, price_gets: gets } = s3;
  if (storage === undefined && (list === undefined || (puts ?? gets) === undefined)) return list;
  const lay = (base: Prices | undefined): Prices => ({
    storage: storage ?? base?.storage ?? 0,
    puts: puts ?? base?.puts ?? 0,
    lists: puts ?? base?.lists ?? 0,
    gets: gets ?? base?.gets ?? 0,
  });
  const { name, gbBytes = gib, packs, others, ...about } = list ?? { currency: null };
  const own = 'your settings';
  const from = { ...about, name: name === undefined ? own : `${own}, else ${name}`, gbBytes };
  return { ...from, packs: lay(packs), others: lay(others) };
}

function serviceAt(
  { endpoint }: S3Config,
  env: Readonly<Record<string, string | undefined>>,
): Service | undefined {
  const address = endpoint ?? env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'];
  if (address === undefined || address === '') return amazon;
  const host = URL.parse(address)?.hostname ?? '';
  const isOf = (domain: string): boolean => host === domain || host.endsWith(`.${domain}`);
  if (isOf('amazonaws.com')) return amazon;
  if (isOf('r2.cloudflarestorage.com')) return cloudflare;
  return isOf('backblazeb2.com') ? backblaze : undefined;
}

function listOf(service: Service | undefined, storageClass = 'STANDARD'): PriceList | undefined {
  const packs = service?.classes[storageClass];
  const others = service?.classes['STANDARD'];
  if (service === undefined || packs === undefined || others === undefined) return undefined;
  const { name, currency, gbBytes } = service;
  return { name, currency, gbBytes, packs, others };
}
