import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, parse, resolve } from 'node:path';
import process from 'node:process';
import { rolldown, type Plugin } from 'rolldown';
import { externalPackages } from './external-packages.ts';

/*
 * Bundles the agent and its libraries into a folder, by default dist/: `node scripts/build-agent.ts [FOLDER]`. A command then
 * loads some large files instead of hundreds of small ones. Libraries with files of their own stay packages. Names are kept, and each file
 * has its source map.
 */
const root = resolve(import.meta.dirname, '..');
const output = resolve(process.argv[2] ?? join(root, 'dist'));

const hosts = readdirSync(join(root, 'src/hosts')).map((file) => parse(file).name);
const bundle = await rolldown({
  cwd: root,
  platform: 'node',
  input: {
    'cli/main': 'src/cli/main.ts',
    ...Object.fromEntries(hosts.map((name) => [`hosts/${name}`, `src/hosts/${name}.ts`])),
  },
  external: externalPackages,
  plugins: [httpWithoutFetch()],
  logLevel: 'warn',
});
rmSync(output, { recursive: true, force: true });
const { output: chunks } = await bundle.write({
  dir: output,
  sourcemap: true,
  // V8 stores a source with one other character in two bytes a character.
  charset: 'ascii',
  comments: false,
  // As deep as the sources of `platform`, which find the files of the package.
  chunkFileNames: 'chunks/[name]-[hash].js',
});
writeFileSync(
  join(output, 'licenses.md'),
  licenses(chunks.flatMap((chunk) => ('moduleIds' in chunk ? chunk.moduleIds : []))),
);

/**
 * Loads node:http as a CommonJS module. If it is imported as an ECMAScript module, Node reads each of its exports, and one of
 * them loads Node's fetch: 30 ms and 3 MB.
 */
function httpWithoutFetch(): Plugin {
  const prefix = '\0builtin:';
  return {
    name: 'http-without-fetch',
    resolveId: (id) => (/^(node:)?https?$/.test(id) ? `${prefix}${id.replace('node:', '')}` : undefined),
    load: (id) =>
      id.startsWith(prefix)
        ? `module.exports = process.getBuiltinModule('node:${id.slice(prefix.length)}');`
        : undefined,
  };
}

/** Returns the licences of the bundled libraries, which require their texts. */
function licenses(modules: readonly string[]): string {
  const folders = new Set(
    modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id.replace('\0', ''))?.[0] ?? []),
  );
  const sections = [...folders].toSorted().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      readonly [field in 'name' | 'version' | 'license']: string;
    };
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? '' : `\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
    return `## ${name} ${version} (${license})\n${text}`;
  });
  return `# Licences of the libraries in this folder\n\n${sections.join('\n')}`;
}
