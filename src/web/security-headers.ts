import type { FastifyHelmetOptions } from '@fastify/helmet';

/** Headers of every answer. The page loads everything from this endpoint, and no other page may embed it. */
export function securityHeaders(): FastifyHelmetOptions {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        connectSrc: ["'self'"],
        imgSrc: ["'self'"],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
      },
    },
    referrerPolicy: { policy: 'no-referrer' },
    // Only over TLS does a browser obey it, and there it would also apply to other ports of the same host.
    strictTransportSecurity: false,
  };
}
