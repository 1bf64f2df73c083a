// Builds dist/: one CommonJS file a program, the native parts beside them, the types of the library.
// With --tests also build/test/: one file for each test, with what it needs bundled in.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { writeDocumentation } from './docs.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
const withTests = process.argv.includes('--tests');

/**
 * dbus-next/parts (src/dbus/dbus-next-parts.d.ts): the codec of the package dbus-next, which exports the whole of its
 * connection and proxies only, and with them XML parsers that would be evaluated at every load.
 */
const dbusNextParts = {
  name: 'dbus-next-parts',
  setup({ onResolve, onLoad, resolve }) {
    const namespace = 'dbus-next-parts';
    onResolve({ filter: /^dbus-next\/parts$/ }, async ({ kind, resolveDir }) => ({
      ...(await resolve('dbus-next', { kind, resolveDir })),
      namespace,
    }));
    onLoad({ filter: /./, namespace }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      const regions = [...source.matchAll(/^\/\/#region (.*)\n([\s\S]*?)^\/\/#endregion$/gm)];
      const wanted = /helpers|\/(constants|signature|dbus-buffer|align|marshallers|put|marshall)\.[jt]s$/;
      const contents = [
        // That of Node takes longer to load than all the rest; it is used once.
        "const assert = (condition) => { if (!condition) throw new Error('not as it should be'); };",
        ...regions.filter(([, name]) => wanted.test(name)).map(([, , code]) => code),
        'export { DBusBuffer, marshall$1 as marshallBody, parseSignature };',
      ];
      return { contents: contents.join('\n'), resolveDir: dirname(path) };
    });
  },
};

const common = {
  bundle: true,
  plugins: [dbusNextParts],
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  // require() in its place: the loader with the kept bytecode has no import() of its own.
  supported: { 'dynamic-import': false },
  logLevel: 'warning',
  external: ['koffi', '@lydell/node-pty', 'esbuild', 'execa', 'fast-check'],
};

mkdirSync('dist', { recursive: true });

const programs = {
  vmspawn: 'src/vmspawn.ts',
  vmspawnctl: 'src/vmspawnctl.ts',
  index: 'src/index.ts',
  child: 'src/child/child.ts',
};
await build({
  ...common,
  entryPoints: Object.entries(programs)
    .filter(([, source]) => existsSync(source))
    .map(([out, source]) => ({ in: source, out })),
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
});

copyKoffi();
compileNative();
copyFileSync('src/loader.cjs', 'dist/main.cjs');
copyFileSync('src/loader.cjs', 'dist/mainctl.cjs');
keepBytecode('vmspawn', 'main', [
  '--dry-run=json',
  // Any ELF file may be a kernel.
  `--linux=${process.execPath}`,
  '--firmware=none',
  '--machine=build',
]);
keepBytecode('vmspawnctl', 'mainctl', ['attach', 'build']);
writeLicenses();
await writeDocumentation();
if (existsSync('src/index.ts') && existsSync('node_modules/typescript')) {
  rmSync('dist/types', { recursive: true, force: true });
  execFileSync('node_modules/.bin/tsc', ['-p', 'tsconfig.types.json'], { stdio: 'inherit' });
}

if (withTests) {
  rmSync('build/test', { recursive: true, force: true });
  const tests = readdirSync('test', { recursive: true })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join('test', file));
  const fixtures = readdirSync('test', { recursive: true })
    .filter((file) => /(^|\/)fixtures\/[^/]+\.ts$/.test(file))
    .map((file) => join('test', file));
  await build({
    ...common,
    entryPoints: [...tests, ...fixtures],
    outbase: 'test',
    outdir: 'build/test',
    outExtension: { '.js': '.cjs' },
    sourcemap: 'inline',
  });
}

/**
 * Makes a file under another name and moves it into place: machines may be running from this checkout, and a mapped file
 * that changes under a process ends it with SIGSEGV.
 */
function replace(file, make) {
  const temporary = `${file}.new`;
  rmSync(temporary, { force: true });
  make(temporary);
  renameSync(temporary, file);
}

/** koffi's prebuilt addon, so that the program needs no node_modules and skips koffi's own loader (6 ms). */
function copyKoffi() {
  const triplet = `linux_${process.arch}`;
  const addon = `node_modules/@koromix/koffi-linux-${process.arch}/${triplet}/koffi.node`;
  if (existsSync(addon)) replace('dist/koffi.node', (file) => copyFileSync(addon, file));
  else console.warn(`No prebuilt koffi for ${triplet}: the package koffi is loaded at run time instead.`);
}

/** The licences of what is in the bundles, which ask for that wherever a copy goes. */
function writeLicenses() {
  const packages = { zod: 'LICENSE', 'dbus-next': 'LICENSE', koffi: 'LICENSE.txt' };
  const texts = Object.entries(packages).map(
    ([name, file]) => `${name}\n\n${readFileSync(join('node_modules', name, file), 'utf8').trim()}\n`,
  );
  writeFileSync('dist/LICENSES.txt', texts.join(`\n${'-'.repeat(78)}\n\n`));
}

/**
 * The bytecode of a program after a run that changes nothing: what it calls is compiled in it, the rest when it is called.
 * V8 takes it only with the flags that it was made with, so this runs node as the program's shell script does.
 */
function keepBytecode(program, loader, words) {
  rmSync(`dist/${program}.cjs.cache`, { force: true });
  const flags =
    /"\$node" (--.*?) "\$main"/.exec(readFileSync(`bin/${program}`, 'utf8'))?.[1]?.split(' ') ?? [];
  const code = `
    const { writeFileSync } = require('node:fs');
    let script;
    process.on('exit', () => writeFileSync('dist/${program}.cjs.cache', script.createCachedData()));
    process.argv.push(...${JSON.stringify([program, ...words])});
    script = require('./dist/${loader}.cjs');`;
  const { NODE_OPTIONS: _options, ...environment } = process.env;
  // Its exit status says whether this host has a QEMU, which a build does not need.
  spawnSync(process.execPath, [...flags, '-e', code], { stdio: 'ignore', env: environment });
}

/**
 * The early child in C, and the front of a terminal. Without a compiler the program falls back to dist/child.cjs, and
 * cannot leave its terminal.
 */
function compileNative() {
  for (const compiler of [process.env.CC, 'cc', 'gcc', 'clang'].filter(Boolean)) {
    try {
      compile(compiler, 'dist/vmspawn-child', 'src/child/child.c');
    } catch (error) {
      if (error.code === 'ENOENT') continue;
      throw error;
    }
    try {
      // Starts in half the time, which every start in a terminal takes longer.
      compile(compiler, 'dist/vmspawn-front', 'src/child/front.c', ['-static'], 'ignore');
    } catch {
      compile(compiler, 'dist/vmspawn-front', 'src/child/front.c');
    }
    return;
  }
  for (const program of ['dist/vmspawn-child', 'dist/vmspawn-front']) rmSync(program, { force: true });
  console.warn(
    'No C compiler: the early child is the Node one (40 MB instead of 0.2 MB until it becomes QEMU), and a machine ' +
      'cannot be left running by Ctrl-] Ctrl-] d.',
  );
}

function compile(compiler, program, source, more = [], messages = 'inherit') {
  const flags = ['-Os', '-Wall', '-Wextra', '-Werror', '-s', ...more];
  replace(program, (file) =>
    execFileSync(compiler, [...flags, '-o', file, source], { stdio: ['ignore', messages, messages] }),
  );
}
