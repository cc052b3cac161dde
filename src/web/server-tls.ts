import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { readPem, tlsVersion } from '../platform/tls-files.ts';
import { httpMetrics } from './http-metrics.ts';
import type { ServerTls } from './server-tls-config.ts';

/** Renewed certificates apply after this time at the latest. */
const LOOK_INTERVAL_MS = 10_000;
const EXPIRY_WARNING_MS = 14 * 86_400_000;

type Loaded = { readonly options: SecureContextOptions; readonly notAfterMs: number };

/** Certificate and key of an endpoint. They are read again when their files change. */
export class ServerCertificate {
  readonly #tls: ServerTls;
  readonly #deps: Deps;
  readonly #component: string;
  readonly #health: ComponentHealth;
  #timer: Timer | undefined;
  #version = '';

  /** @param component Name of the endpoint's component; the certificate reports as `<component>/tls`. */
  constructor(tls: ServerTls, component: string, deps: Deps) {
    this.#tls = tls;
    this.#deps = deps;
    this.#component = component;
    this.#health = deps.health.component(`${component}/tls`);
  }

  /** Reads the files, as options of a TLS server. @throws {Error} A file cannot be read, or cert and key do not fit. */
  read(): SecureContextOptions {
    this.#version = this.#fileVersions();
    const loaded = this.#load();
    this.#report(loaded.notAfterMs);
    return loaded.options;
  }

  /** Calls `renew` with the content of changed files, until disposal. A wrong content is reported, and the old one stays. */
  watch(renew: (options: SecureContextOptions) => void): void {
    this.#timer = this.#deps.clock.setTimer(
      () => {
        this.#look(renew);
        this.watch(renew);
      },
      LOOK_INTERVAL_MS,
      { background: true },
    );
  }

  dispose(): void {
    this.#timer?.cancel();
    this.#health.remove();
  }

  #look(renew: (options: SecureContextOptions) => void): void {
    const version = this.#fileVersions();
    if (version === this.#version) return;
    try {
      renew(this.read());
      this.#deps.log.info({ component: this.#component }, 'The renewed certificate is in use.');
    } catch (error) {
      this.#health.report(
        'degraded',
        `The new certificate cannot be used: ${errorMessage(error)}. The old one stays in use`,
        'certificate-unusable',
      );
    }
  }

  #load(): Loaded {
    const { cert, key, clientCa } = this.#tls;
    const options = {
      cert: readPem(cert),
      key: readPem(key),
      ...(clientCa === undefined ? {} : { ca: readPem(clientCa) }),
      minVersion: 'TLSv1.2' as const,
    };
    // Throws if key and certificate do not fit.
    createSecureContext(options);
    return { options, notAfterMs: new X509Certificate(options.cert).validToDate.getTime() };
  }

  #report(notAfterMs: number): void {
    const leftMs = notAfterMs - this.#deps.clock.nowMs();
    const { andon_http_certificate_expiry_seconds: expiry } = this.#deps.metrics.of(httpMetrics);
    expiry.set({ component: this.#component }, notAfterMs / 1000);
    if (leftMs > EXPIRY_WARNING_MS) return this.#health.report('ok');
    const day = new Date(notAfterMs).toISOString().slice(0, 10);
    this.#health.report(
      'degraded',
      `The certificate ${leftMs > 0 ? 'expires' : 'expired'} on ${day}. Renew tls.cert`,
      'certificate-expires',
    );
  }

  #fileVersions(): string {
    const { cert, key, clientCa } = this.#tls;
    return tlsVersion({ cert, key, ca: clientCa });
  }
}
