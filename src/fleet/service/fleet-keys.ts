import { Algorithms, encodeAccount, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt';
import { nkeys } from '@nats-io/transport-node';
import * as z from 'zod';
import { boxPermissions } from '../fleet-names.ts';

const { createAccount, createOperator, createUser, fromSeed } = nkeys;

/** Names in the tokens, for people who look at the server. */
const ACCOUNT = 'andon';
const SYSTEM = 'SYS';
const JWT = { algorithm: Algorithms.v2 } as const;
const UNLIMITED = -1;
const accountLimits = {
  conn: UNLIMITED,
  subs: UNLIMITED,
  data: UNLIMITED,
  payload: UNLIMITED,
  leaf: UNLIMITED,
  imports: UNLIMITED,
  exports: UNLIMITED,
  wildcards: true,
};
const jetStreamLimits = { mem_storage: UNLIMITED, disk_storage: UNLIMITED, streams: UNLIMITED, consumer: UNLIMITED };
const userLimits = { subs: UNLIMITED, data: UNLIMITED, payload: UNLIMITED };

export const fleetKeysSchema = z.strictObject({
  /** Signs the accounts. */
  operator: z.string(),
  /** The account of the boxes and of the fleet service. */
  account: z.string(),
  /** Signs the credentials of boxes. It can be replaced without a new account. */
  signing: z.string(),
  /** The system account, with which the fleet service publishes revocations. */
  system: z.string(),
});

/** Seeds of the nkeys of a fleet. Who has them can enrol boxes and read everything. */
export type FleetKeys = Readonly<z.infer<typeof fleetKeysSchema>>;

/** Time of the revocation by public key; it ends credentials that were issued before. In ms. */
export type Revocations = ReadonlyMap<string, number>;

export function newFleetKeys(): FleetKeys {
  const seed = (pair: nkeys.KeyPair) => new TextDecoder().decode(pair.getSeed());
  return {
    operator: seed(createOperator()),
    account: seed(createAccount()),
    signing: seed(createAccount()),
    system: seed(createAccount()),
  };
}

/** Returns the token of the account of the fleet, which also says whose credentials no longer count. */
export function accountToken(keys: FleetKeys, revocations: Revocations): Promise<string> {
  const revoked = [...revocations].map(([key, atMs]) => [key, Math.ceil(atMs / 1000)]);
  return encodeAccount(
    ACCOUNT,
    pairOf(keys.account),
    {
      limits: { ...accountLimits, ...jetStreamLimits },
      signing_keys: [publicKey(keys.signing)],
      revocations: Object.fromEntries(revoked) as Record<string, number>,
    },
    { ...JWT, signer: pairOf(keys.operator) },
  );
}

/** Returns the token of a box, which has permission for its own subjects only. @param box Its public key is that of its nkey. */
export function boxToken(keys: FleetKeys, box: { readonly name: string; readonly publicKey: string }): Promise<string> {
  const { publish, subscribe } = boxPermissions(box.name);
  return encodeUser(
    box.name,
    nkeys.fromPublic(box.publicKey),
    pairOf(keys.signing),
    {
      issuer_account: publicKey(keys.account),
      pub: { allow: [...publish] },
      sub: { allow: [...subscribe] },
      subs: 100,
      data: UNLIMITED,
      payload: UNLIMITED,
    },
    JWT,
  );
}

/** Returns new credentials of the fleet service: of its account, or of the system account. */
export async function serviceCredentials(keys: FleetKeys, account: 'fleet' | 'system'): Promise<Uint8Array> {
  const user = createUser();
  const token =
    account === 'system'
      ? await encodeUser('fleet', user, pairOf(keys.system), userLimits, JWT)
      : await encodeUser(
          'fleet',
          user,
          pairOf(keys.signing),
          { ...userLimits, issuer_account: publicKey(keys.account) },
          JWT,
        );
  return fmtCreds(token, user);
}

export type ServerPlace = {
  /** host:port */
  readonly listen: string;
  /** Folder of the streams and of the tokens of accounts. */
  readonly folder: string;
  /** PEM files for TLS; undefined for clear text. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
};

/** Returns the configuration of a NATS server for the fleet. It writes each message to disk before it acknowledges it. */
export async function natsServerConfig(keys: FleetKeys, { listen, folder, tls }: ServerPlace): Promise<string> {
  const operator = await encodeOperator(
    'andon',
    pairOf(keys.operator),
    { system_account: publicKey(keys.system) },
    JWT,
  );
  const system = await encodeAccount(
    SYSTEM,
    pairOf(keys.system),
    { limits: accountLimits },
    { ...JWT, signer: pairOf(keys.operator) },
  );
  const lines = [
    `listen: ${JSON.stringify(listen)}`,
    `jetstream { store_dir: ${JSON.stringify(`${folder}/streams`)}, sync_interval: always }`,
    `operator: ${operator}`,
    `system_account: ${publicKey(keys.system)}`,
    `resolver: { type: full, dir: ${JSON.stringify(`${folder}/accounts`)}, allow_delete: false, interval: "2m" }`,
    `resolver_preload: {`,
    `  ${publicKey(keys.system)}: ${system}`,
    `  ${publicKey(keys.account)}: ${await accountToken(keys, new Map())}`,
    '}',
    ...(tls === undefined
      ? []
      : [`tls { cert_file: ${JSON.stringify(tls.cert)}, key_file: ${JSON.stringify(tls.key)} }`]),
  ];
  return `${lines.join('\n')}\n`;
}

function pairOf(seed: string): nkeys.KeyPair {
  return fromSeed(new TextEncoder().encode(seed));
}

function publicKey(seed: string): string {
  return pairOf(seed).getPublicKey();
}
