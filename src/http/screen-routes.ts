import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { packageFile } from '../platform/package-files.ts';

/** Vite's output, in a checkout and in the package. `npm ci` and `npm pack` build it. */
const folder = fileURLToPath(packageFile('screen/dist'));
/** Paths of the pages. All of them are one document. */
const pages = [
  '/',
  '/alarms',
  '/alarms/*',
  '/machine/*',
  '/trends',
  '/models',
  '/models/*',
  '/configuration',
  '/system',
  '/kiosk',
];

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};
/** Compressed copies that the build makes, best first. */
const encodings = [
  { name: 'br', suffix: '.br' },
  { name: 'gzip', suffix: '.gz' },
] as const;

type ScreenFile = {
  readonly path: string;
  readonly type: string;
  readonly plain: Buffer;
  readonly copies: readonly { readonly encoding: string; readonly content: Buffer }[];
};

/**
 * `GET /` and the other pages of the web application. Files are read into memory once, so that no path of a request reaches the
 * file system. The pages have no data: they request it, and a user logs in for it.
 */
export function registerScreen(app: FastifyInstance): void {
  const files = screenFiles(folder);
  const options = { config: { permission: 'open' }, schema: { hide: true } } as const;
  for (const file of files.filter(({ path }) => path.startsWith('/assets/')))
    app.get(file.path, options, (request, reply) =>
      // Names of assets contain their hash.
      send(file, request, reply.header('cache-control', 'public, max-age=31536000, immutable')),
    );
  const page = files.find(({ path }) => path === '/index.html');
  for (const path of pages)
    app.get(path, options, (request, reply) =>
      page === undefined
        ? reply.code(503).send({ error: 'The pages are not built. Run `npm ci` in the checkout.' })
        : send(page, request, reply.header('cache-control', 'no-cache')),
    );
}

function send(file: ScreenFile, { headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const accepted = (headers['accept-encoding'] ?? '').split(/\s*[,;]\s*/);
  const copy = file.copies.find(({ encoding }) => accepted.includes(encoding));
  if (copy !== undefined) reply.header('content-encoding', copy.encoding);
  return reply
    .type(file.type)
    .header('vary', 'accept-encoding')
    .send(copy?.content ?? file.plain);
}

function screenFiles(root: string): readonly ScreenFile[] {
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const type = types[/\.(\w+)$/.exec(entry.name)?.[1] ?? ''];
    if (!entry.isFile() || type === undefined) return [];
    const file = join(entry.parentPath, entry.name);
    const copies = encodings.flatMap(({ name, suffix }) =>
      existsSync(file + suffix) ? [{ encoding: name, content: readFileSync(file + suffix) }] : [],
    );
    return [{ path: `/${relative(root, file)}`, type, plain: readFileSync(file), copies }];
  });
}
