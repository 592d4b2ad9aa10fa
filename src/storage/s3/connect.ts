import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { getCACertificates } from 'node:tls';
import type { S3Place } from './place.ts';

/** What a body of ours has for its hash where TLS keeps it whole: SHA-256 of everything would be computed twice. */
const unsignedPayload = 'UNSIGNED-PAYLOAD';

/**
 * A client of the AWS SDK for that place. Connections are kept and reused; proxies of the environment are honoured.
 * It tries nothing twice, as what stands above it does, and adds no checksums of its own: every body carries its MD5,
 * which every service knows.
 */
export function connectS3(place: S3Place): S3Client {
  const { settings, endpoint, region, credentials, profile } = place;
  const config: S3ClientConfig = {
    forcePathStyle: place.isPathStyle,
    maxAttempts: 1,
    // It would open a connection of its own for every large body.
    expectContinueHeader: false,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      ...agentsOf(place),
      connectionTimeout: settings.connect_timeout,
      socketTimeout: settings.timeout,
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(profile === undefined ? {} : { profile }),
  };
  const client = new S3Client(config);
  client.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { protocol: string; method: string; headers: Record<string, string> };
      if (request.protocol === 'https:' && request.headers['content-md5'] !== undefined)
        request.headers['x-amz-content-sha256'] = unsignedPayload;
      return await next(args);
    },
    { step: 'build', name: 'unsignedBodies', priority: 'low' },
  );
  return client;
}

function agentsOf(place: S3Place): { readonly httpAgent: HttpAgent; readonly httpsAgent: HttpsAgent } {
  const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'NO_PROXY', 'no_proxy'];
  const proxyEnv = Object.fromEntries(names.map((name) => [name, place.env[name]]));
  const options = { keepAlive: true, scheduling: 'lifo' as const, proxyEnv };
  const ca = place.ca === undefined ? {} : { ca: [...getCACertificates('default'), place.ca] };
  return { httpAgent: new HttpAgent(options), httpsAgent: new HttpsAgent({ ...options, ...ca }) };
}
