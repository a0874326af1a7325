import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Command } from 'commander';
import { chosenKernels } from '../../native/index.js';
import { errorMessage } from '../../search/errors.js';
import { packageVersion } from '../config/version.js';
import { EMBEDDED_POLICY_DIR } from '../policy/create.js';
import { EMBEDDED_PRM_DIR } from '../scorer/index.js';
import { EXIT } from './exit.js';
import type { CommandIo } from './main.js';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** Says what is installed, which kernels and providers are active, and which endpoints answer. */
export function doctorCommand(io: CommandIo): Command {
  return new Command('doctor')
    .description('check the installation, the embedded models, servers and model folders')
    .argument(
      '[models...]',
      'OpenAI-compatible servers to reach, such as http://localhost:8000/v1, and folders with ONNX files',
    )
    .option('--json', 'print one JSON object on stdout')
    .addHelpText('after', EXAMPLES)
    .action(async (models: string[], given: { json?: boolean }) => {
      const checks = [
        nodeCheck(),
        ...(await Promise.all(PACKAGES.map(packageCheck))),
        await onnxCheck(),
        kernelCheck(),
        modelCheck(),
        prmCheck(),
        ...(await Promise.all(models.map((model) => modelAtCheck(model, io.signal)))),
      ];
      const ok = checks.every((check) => check.ok);
      if (given.json) {
        process.stdout.write(`${JSON.stringify({ version: packageVersion(), ok, checks })}\n`);
      } else {
        process.stdout.write(`steptree ${packageVersion()}\n`);
        for (const { name, ok: good, detail } of checks) {
          process.stdout.write(`${good ? '  ok   ' : '  FAIL '} ${name}: ${detail}\n`);
        }
      }
      io.exit(ok ? EXIT.done : EXIT.failed);
    });
}

/** Packages with native parts: a missing prebuilt binary shows here. */
const PACKAGES = ['lmdb', 'sharp', 'msgpackr'] as const;

function nodeCheck(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  return {
    name: 'Node.js',
    ok,
    detail: `${process.version} on ${process.platform} ${process.arch}${ok ? '' : '; 20.19 or later is needed'}`,
  };
}

async function packageCheck(name: (typeof PACKAGES)[number]): Promise<Check> {
  try {
    await import(name);
    return { name, ok: true, detail: installedVersion(name) };
  } catch (error) {
    return { name, ok: false, detail: `does not load: ${errorMessage(error)}; run npm ci again` };
  }
}

async function onnxCheck(): Promise<Check> {
  const name = 'onnxruntime-node';
  try {
    const ort = await import(name);
    const backends = ort.listSupportedBackends() as { name: string; bundled: boolean }[];
    // The others' libraries may or may not be installed; --onnx-provider says so when it is asked.
    const providers = backends.map((one) => (one.bundled ? one.name : `${one.name} (not bundled)`));
    return {
      name,
      ok: true,
      detail: `${installedVersion(name)}, providers ${providers.join(', ')}`,
    };
  } catch (error) {
    return { name, ok: false, detail: `does not load: ${errorMessage(error)}; run npm ci again` };
  }
}

/** The twins do the same work, so a missing addon is no fault of the installation. */
function kernelCheck(): Check {
  const { kernels, reason } = chosenKernels();
  const twins = kernels.name === 'typescript';
  const detail = twins ? `TypeScript twins (${reason})` : `${kernels.name}, ${reason}`;
  return { name: 'native kernels', ok: true, detail };
}

function modelCheck(): Check {
  const ok = existsSync(join(EMBEDDED_POLICY_DIR, 'config.json'));
  return {
    name: 'embedded policy',
    ok,
    detail: ok ? 'models/figmath-policy' : 'models/figmath-policy is missing; install again',
  };
}

/** Nothing but `--prm embedded` needs it, so its absence is no fault of the installation. */
function prmCheck(): Check {
  const name = 'embedded reward model';
  if (!existsSync(EMBEDDED_PRM_DIR)) {
    return { name, ok: true, detail: 'none; --prm needs a server or a folder' };
  }
  const missing = PRM_FILES.filter((file) => !existsSync(join(EMBEDDED_PRM_DIR, file)));
  const ok = missing.length === 0;
  const lack = `models/figmath-prm lacks ${missing.join(', ')}; install again`;
  return { name, ok, detail: ok ? 'models/figmath-prm' : lack };
}

const PRM_FILES = ['config.json', 'steptree_prm.json', 'onnx/scorer_append.onnx'];

function modelAtCheck(model: string, signal: AbortSignal): Promise<Check> {
  return /^https?:/.test(model) ? endpointCheck(model, signal) : folderCheck(model);
}

/** Reads all but the weights, so that a folder of gigabytes is judged at once. */
async function folderCheck(path: string): Promise<Check> {
  try {
    const { readModelFolder } = await import('../policy/onnx/folder.js');
    const { modelType, shape, graphs } = await readModelFolder(path);
    const { append, step, merged, scorer } = graphs;
    const uses = [append || merged ? 'policy' : '', scorer ? 'reward model' : ''].filter(Boolean);
    const facts = `${modelType}, ${shape.layers} layers of ${shape.hidden}, vocabulary ${shape.vocab}`;
    const slow = (append && step) || !merged ? '' : `; ${MERGED_ONLY}`;
    return { name: path, ok: true, detail: `${uses.join(' and ')}, ${facts}${slow}` };
  } catch (error) {
    return { name: path, ok: false, detail: errorMessage(error) };
  }
}

const MERGED_ONLY =
  'without decoder_append.onnx and decoder_step.onnx, which make batches several times as fast (training/export_onnx.py makes them)';

async function endpointCheck(url: string, signal: AbortSignal): Promise<Check> {
  const address = `${url.replace(/\/+$/, '')}/models`;
  try {
    const reply = await fetch(address, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    });
    const body = (await reply.json()) as { data?: { id?: string }[] };
    const models = (body.data ?? []).map((model) => model.id).join(', ');
    return { name: url, ok: reply.ok, detail: `HTTP ${reply.status}, models: ${models}` };
  } catch (error) {
    return { name: url, ok: false, detail: `${address} cannot be reached: ${errorMessage(error)}` };
  }
}

function installedVersion(name: string): string {
  const path = createRequire(import.meta.url)
    .resolve.paths(name)
    ?.find((dir) => existsSync(join(dir, name, 'package.json')));
  if (!path) return 'installed';
  const manifest = createRequire(import.meta.url)(join(path, name, 'package.json')) as {
    version: string;
  };
  return manifest.version;
}

const EXAMPLES = `
Examples:
  $ steptree doctor
  $ steptree doctor http://localhost:8000/v1 ./SmolVLM-256M-Instruct`;
