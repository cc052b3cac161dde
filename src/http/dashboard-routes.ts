import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';

const own = (name: string) => new URL(`./dashboard/${name}`, import.meta.url);
const uplot = (name: string) => join(dirname(createRequire(import.meta.url).resolve('uplot')), name);

/** The page and what it loads; all of it comes from this package, so that it works on a box without internet. */
const FILES: readonly { readonly path: string; readonly type: string; readonly file: () => URL | string }[] = [
  { path: '/dashboard', type: 'text/html; charset=utf-8', file: () => own('index.html') },
  ...['agent-api.js', 'dashboard.js', 'live-stream.js', 'page-elements.js', 'watch-view.js'].map((name) => ({
    path: `/dashboard/${name}`,
    type: 'text/javascript; charset=utf-8',
    file: () => own(name),
  })),
  { path: '/dashboard/dashboard.css', type: 'text/css; charset=utf-8', file: () => own('dashboard.css') },
  { path: '/dashboard/uplot.js', type: 'text/javascript; charset=utf-8', file: () => uplot('uPlot.esm.js') },
  { path: '/dashboard/uplot.css', type: 'text/css; charset=utf-8', file: () => uplot('uPlot.min.css') },
];

/** `GET /dashboard`: the earlier page. */
export function registerDashboard(app: FastifyInstance): void {
  for (const { path, type, file } of FILES) {
    const content = readFileSync(file());
    // Without data: the page asks its user to log in.
    app.get(path, { config: { permission: 'open' }, schema: { hide: true } }, (_request, reply) =>
      reply.type(type).header('cache-control', 'no-cache').send(content),
    );
  }
}
