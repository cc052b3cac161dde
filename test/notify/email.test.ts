import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { testMessage } from '../../src/domain/notify/notify-message.ts';
import { emailSchema } from '../../src/notify/email/email-config.ts';
import { EmailTransport } from '../../src/notify/email/email-transport.ts';
import { TestCertificates } from '../support/broker-certificates.ts';
import { describeWith } from '../support/programs.ts';

type Mail = { readonly from: string; readonly to: readonly string[]; readonly text: string };

/** A mail server on a free port. */
async function mailServer(options: SMTPServerOptions = {}) {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    onData: (stream, session, done) => {
      const take = async () => {
        const { mailFrom, rcptTo } = session.envelope;
        const to = rcptTo.map(({ address }) => address);
        mails.push({ from: mailFrom === false ? '' : mailFrom.address, to, text: await text(stream) });
        done();
      };
      void take();
    },
    ...options,
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const address = server.server.address();
  return { mails, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

const base = { type: 'email', from: 'andon@acme.example', to: ['shift@acme.example', 'lead@acme.example'] };
const message = testMessage({ agent: 'edge-01', link: 'https://edge.plant/alarms' });

function send(more: object): Promise<void> {
  return new EmailTransport(emailSchema.parse({ ...base, ...more })).send(message, new AbortController().signal);
}

describe('an email', () => {
  test('reaches all recipients, with the link, and asks for no answer', async () => {
    const { port, mails } = await mailServer({ disabledCommands: ['STARTTLS'] });
    await send({ url: `smtp://127.0.0.1:${port}`, startTls: 'never' });
    expect(mails).toMatchObject([{ from: base.from, to: base.to }]);
    expect(mails[0]?.text).toMatch(/^Subject: Test of andon on edge-01\r?$/m);
    expect(mails[0]?.text).toMatch(/^Auto-Submitted: auto-generated\r?$/m);
    expect(mails[0]?.text).toContain('https://edge.plant/alarms');
  });

  test('is not sent in clear text if STARTTLS is required and not offered', async () => {
    const { port, mails } = await mailServer({ disabledCommands: ['STARTTLS'] });
    await expect(send({ url: `smtp://127.0.0.1:${port}` })).rejects.toMatchObject({ disposition: 'retry' });
    expect(mails).toEqual([]);
  });

  test.each([
    [450, 'notify-service-failed', 'retry'],
    [550, 'notify-refused', 'reject'],
  ])('that the server answers with %i is %s', async (responseCode, code, disposition) => {
    const { port } = await mailServer({
      disabledCommands: ['STARTTLS'],
      onRcptTo: (_address, _session, done) => done(Object.assign(new Error('no mailbox'), { responseCode })),
    });
    const sent = send({ url: `smtp://127.0.0.1:${port}`, startTls: 'never' });
    await expect(sent).rejects.toMatchObject({ code, disposition });
  });

  test('to a server that is away is kept', async () => {
    await expect(send({ url: 'smtp://127.0.0.1:9' })).rejects.toMatchObject({ code: 'notify-unreachable' });
  });
});

describeWith(['openssl'], 'an email over TLS', () => {
  test('is sent over TLS with a certificate of the own authority, and a password from a file', async () => {
    await using certificates = TestCertificates.make();
    const { server } = certificates;
    const [cert, key] = [readFileSync(server.cert), readFileSync(server.key)];
    const folder = mkdtempSync(join(tmpdir(), 'andon-mail-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'password'), 'secret\n');
    const { port, mails } = await mailServer({
      cert,
      key,
      authOptional: false,
      onAuth: ({ username, password }, _session, done) =>
        username === 'andon' && password === 'secret'
          ? done(null, { user: username })
          : done(new Error('Invalid username or password')),
    });
    const login = { username: 'andon', password: { file: join(folder, 'password') } };
    const tls = { ca: certificates.ca };
    await send({ url: `smtp://127.0.0.1:${port}`, ...login, tls });
    expect(mails).toHaveLength(1);
    await expect(send({ url: `smtp://127.0.0.1:${port}`, ...login })).rejects.toMatchObject({
      code: 'notify-unreachable',
    });
    writeFileSync(join(folder, 'password'), 'wrong\n');
    await expect(send({ url: `smtp://127.0.0.1:${port}`, ...login, tls })).rejects.toMatchObject({
      code: 'notify-not-admitted',
      disposition: 'retry',
    });
  });
});

test('a password is refused without TLS', () => {
  const config = { ...base, url: 'smtp://mail', startTls: 'never', username: 'a', password: { env: 'P' } };
  expect(emailSchema.safeParse(config).error?.issues[0]?.message).toContain('not sent in clear text');
});
