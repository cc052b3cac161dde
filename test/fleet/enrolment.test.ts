import { connect, jwtAuthenticator, type NatsConnection, nkeys } from '@nats-io/transport-node';
import { jetstream } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { FleetSession } from '../../src/fleet/box/fleet-session.ts';
import { fleetConfigSchema } from '../../src/fleet/fleet-config.ts';
import { bucketSubject, DESIRED_BUCKET, inboxPrefix, REPORTED_BUCKET } from '../../src/fleet/fleet-names.ts';
import { newFleetKeys } from '../../src/fleet/service/fleet-keys.ts';
import { FleetService } from '../../src/fleet/service/fleet-service.ts';
import { fleetServiceSchema } from '../../src/fleet/service/fleet-service-config.ts';
import { NatsServer } from '../support/nats-server.ts';
import { describeWith } from '../support/programs.ts';
import { testDeps } from '../support/test-deps.ts';

const HOUR_MS = 3_600_000;

type Bench = {
  readonly server: NatsServer;
  readonly service: FleetService;
  /** Enrols a box and returns its credentials. */
  readonly enrolled: (box: string) => Promise<{ readonly user: nkeys.KeyPair; readonly jwt: string }>;
  readonly connected: (box: string) => Promise<NatsConnection>;
};

async function withService(run: (bench: Bench) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const keys = newFleetKeys();
  const server = stack.use(await NatsServer.start({ fleet: keys }));
  const config = fleetServiceSchema.parse({ nats: { url: server.url } });
  const service = stack.use(await FleetService.open(config, keys, testDeps()));
  const enrolled: Bench['enrolled'] = async (box) => {
    const user = nkeys.createUser();
    const { token } = await service.newToken(box, HOUR_MS);
    return { user, jwt: (await service.enrol(token, box, user.getPublicKey())).token };
  };
  const connected: Bench['connected'] = async (box) => {
    const { user, jwt } = await enrolled(box);
    const authenticator = jwtAuthenticator(jwt, user.getSeed());
    const options = { servers: server.url, authenticator, inboxPrefix: inboxPrefix(box), reconnect: false };
    return stack.adopt(await connect(options), (open) => open.close());
  };
  await run({ server, service, enrolled, connected });
}

describeWith(['nats-server'], 'enrolment of a box', () => {
  test('a token works once, for its box, and until it expires', async () => {
    await withService(async ({ service }) => {
      const publicKey = () => nkeys.createUser().getPublicKey();
      const { token } = await service.newToken('press-1', HOUR_MS);
      await expect(service.enrol(token, 'press-2', publicKey())).rejects.toThrow('is for the box press-1');
      const both = [service.enrol(token, 'press-1', publicKey()), service.enrol(token, 'press-1', publicKey())];
      const outcomes = (await Promise.allSettled(both)).map(({ status }) => status);
      expect(outcomes.toSorted()).toEqual(['fulfilled', 'rejected']);
      await expect(service.enrol(token, 'press-1', publicKey())).rejects.toThrow('was used before');
      await expect(service.enrol('guess', 'press-1', publicKey())).rejects.toThrow('is unknown');
      const late = await service.newToken('press-3', -1);
      await expect(service.enrol(late.token, 'press-3', publicKey())).rejects.toThrow('has expired');
    });
  });

  test('a box may read its own desired state and report for itself, and nothing else', async () => {
    await withService(async ({ service, connected }) => {
      await connected('press-2');
      await service.setDesired('press-2', { models: [] });
      const box = await connected('press-1');
      await service.setDesired('press-1', { models: [] });
      const read = (name: string) =>
        box.request(`$JS.API.DIRECT.GET.KV_${DESIRED_BUCKET}.${bucketSubject(DESIRED_BUCKET, name)}`, undefined, {
          timeout: 2_000,
        });
      expect((await read('press-1')).json()).toEqual({ generation: 1, models: [] });
      await expect(read('press-2')).rejects.toThrow(/permission/i);
      const client = jetstream(box);
      await client.publish(bucketSubject(REPORTED_BUCKET, 'press-1'), '{}');
      await expect(client.publish(bucketSubject(REPORTED_BUCKET, 'press-2'), '{}')).rejects.toThrow(/permission/i);
      await expect(client.publish(bucketSubject(DESIRED_BUCKET, 'press-1'), '{}')).rejects.toThrow(/permission/i);
      // A report that is not one hides no other box.
      expect((await service.boxes()).map(({ name, reported }) => ({ name, reported }))).toEqual([
        { name: 'press-1', reported: undefined },
        { name: 'press-2', reported: undefined },
      ]);
    });
  });

  test('a revoked box loses its connection, and so does one that was enrolled again', async () => {
    await withService(async ({ service, enrolled, connected }) => {
      const revoked = await connected('press-1');
      await service.revoke('press-1');
      expect(await revoked.closed()).toMatchObject({ message: expect.stringMatching(/revoked/i) });
      expect(await service.box('press-1')).toMatchObject({ enrolledMs: undefined });
      const former = await connected('press-2');
      await enrolled('press-2');
      expect(await former.closed()).toMatchObject({ message: expect.stringMatching(/revoked/i) });
      await expect(service.revoke('press-9')).rejects.toThrow('The fleet has no box press-9');
    });
  });

  test('a session of a box reads files and its desired state with its permissions', async () => {
    await withService(async ({ server, service, enrolled }) => {
      const { user, jwt } = await enrolled('press-1');
      const { fmtCreds } = await import('@nats-io/jwt');
      process.env['TEST_FLEET_CREDS'] = new TextDecoder().decode(fmtCreds(jwt, user)).trim();
      const config = fleetConfigSchema.parse({ url: server.url, credentials: { env: 'TEST_FLEET_CREDS' } });
      const nudged = Promise.withResolvers<void>();
      await using session = await FleetSession.open('press-1', server.url, config, nudged.resolve);
      const bytes = Buffer.alloc(300_000, 'andon');
      const sha256 = await service.buckets.putFile(bytes);
      await service.setDesired('press-1', { models: [{ name: 'pump', version: 2, sha256 }] });
      await nudged.promise;
      expect(await session.desired()).toMatchObject({ generation: 1, models: [{ name: 'pump', version: 2, sha256 }] });
      const parts: Uint8Array[] = [];
      for await (const part of session.file(sha256)) parts.push(part);
      expect(Buffer.concat(parts).equals(bytes)).toBe(true);
      await expect(session.file('0'.repeat(64)).next()).rejects.toThrow('it is not there');
    });
  });
});
