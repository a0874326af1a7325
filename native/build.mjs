/** Compiles native/cpp into native/build/steptree.node with whatever C++ compiler there is. Nothing
 *  needs it: without it the TypeScript twins run. So this never fails an install.
 *
 *  Usage: node native/build.mjs [--strict]   (--strict: exit with 1 where nothing was built)
 *  CXX names the compiler; STEPTREE_NATIVE=off builds nothing. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const TARGET = join(HERE, 'build', 'steptree.node');
/** Each with the flags of its own: only one file may hold instructions that not every processor has. */
const UNITS = {
  binding: [],
  sampler: [],
  portable: [],
  avx2: process.arch === 'x64' ? ['-mavx2', '-mfma'] : [],
};
const HEADERS = ['primitives.h', 'sampler.h'];
/** Without -ffp-contract=off a compiler may fuse products and sums, and the bits would differ. */
const FLAGS = [
  '-std=c++17',
  '-O3',
  '-fPIC',
  '-fno-exceptions',
  '-fno-rtti',
  '-fvisibility=hidden',
  '-ffp-contract=off',
];
const WARNINGS = ['-Wall', '-Wextra'];

const strict = process.argv.includes('--strict');
const outcome = build();
if (outcome !== null) process.stdout.write(`steptree: ${outcome}\n`);

/** What to tell, or null where nothing had to be done. */
function build() {
  if (process.env.STEPTREE_NATIVE === 'off') return 'native kernels not built: STEPTREE_NATIVE=off';
  if (process.platform === 'win32') return unbuilt('no build for Windows');
  if (isFresh()) return null;
  const compiler = findCompiler();
  if (compiler === null) return unbuilt('no C++ compiler (c++, g++, clang++ or CXX)');
  const include = headersOfNode();
  if (include === null) return unbuilt('node-api-headers is not installed');
  mkdirSync(dirname(TARGET), { recursive: true });
  const work = mkdtempSync(join(dirname(TARGET), 'work-'));
  try {
    const error = compile(compiler, include, work);
    if (error !== null) return unbuilt(`${compiler} failed: ${error}`);
    // Renamed into place, so that nobody ever loads half a file.
    renameSync(join(work, 'steptree.node'), TARGET);
    return `native kernels built with ${compiler}`;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function unbuilt(reason) {
  if (strict) process.exitCode = 1;
  return `native kernels not built (${reason}); the TypeScript twins run instead`;
}

function sources() {
  return [...Object.keys(UNITS).map((name) => `${name}.cc`), ...HEADERS].map((name) =>
    join(HERE, 'cpp', name),
  );
}

function isFresh() {
  if (!existsSync(TARGET)) return false;
  const built = statSync(TARGET).mtimeMs;
  return [...sources(), fileURLToPath(import.meta.url)].every(
    (file) => statSync(file).mtimeMs < built,
  );
}

function findCompiler() {
  const named = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  return named.find((name) => spawnSync(name, ['--version']).status === 0) ?? null;
}

function headersOfNode() {
  try {
    return createRequire(import.meta.url)('node-api-headers').include_dir;
  } catch {
    return null;
  }
}

/** The first line of what went wrong, or null. */
function compile(compiler, include, work) {
  for (const [name, own] of Object.entries(UNITS)) {
    const error = run(compiler, [
      ...[...FLAGS, ...WARNINGS, ...own, '-isystem', include],
      ...['-c', join(HERE, 'cpp', `${name}.cc`), '-o', join(work, `${name}.o`)],
    ]);
    if (error !== null) return error;
  }
  const objects = Object.keys(UNITS).map((name) => join(work, `${name}.o`));
  const link =
    process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
  return run(compiler, [...link, ...objects, '-o', join(work, 'steptree.node')]);
}

function run(compiler, args) {
  const { status, stderr, error } = spawnSync(compiler, args, { encoding: 'utf8' });
  if (status === 0) {
    if (strict && stderr) process.stderr.write(stderr);
    return null;
  }
  if (strict && stderr) process.stderr.write(stderr);
  return (stderr || String(error)).split('\n').find((line) => /error/i.test(line)) ?? 'no message';
}
