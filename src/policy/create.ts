import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SteptreeError } from '../../search/errors.js';
import type { PolicyModel, Step } from '../../search/types.js';
import { PACKAGE_DIR } from '../config/version.js';
import type { OnnxOptions } from './onnx/options.js';
import { createOpenAiPolicy, type OpenAiOptions } from './openai/index.js';
import { createRecordedPolicy } from './recorded.js';
import { createSimulatedPolicy, type SimulatedOptions } from './simulated.js';
import { createSplitter, type SplitterName } from './splitter.js';

/** A policy as a run holds it: the model, and what the run must know of its host. */
export interface PolicyHandle extends PolicyModel {
  readonly kind: 'openai' | 'onnx' | 'recorded' | 'simulated';
  /** Whether unreadable pictures make a problem unusable; recorded replies need none. */
  readonly checksImages: boolean;
  /** Whether it reads a problem's earlier turns (`Problem.turns`); others would drop them unread. */
  readonly takesTurns: boolean;
  /** Sequences that the host can use at once. */
  readonly maxInFlight: number;
  /** What decides its replies; a run's folder remembers it. No addresses: a server may move. */
  readonly identity: Readonly<Record<string, unknown>>;
  /** For run.json and the log; no secrets. */
  describe(): Record<string, unknown>;
  stats(): Promise<Record<string, unknown>>;
  /** Tells that a stored reply answered a call. */
  skip?(problemId: string, prefix: readonly Step[], count: number): void;
  /** Idempotent; lets what runs come to its end first. */
  close(): Promise<void>;
}

export interface PolicySettings {
  /** As the --policy option takes it. */
  readonly spec: string;
  readonly splitter: SplitterName;
  readonly maxInFlight: number;
  readonly openai: OpenAiOptions;
  readonly onnx: OnnxOptions;
  readonly simulated: SimulatedOptions;
}

/** The model folder that comes with the package. */
export const EMBEDDED_POLICY_DIR = join(PACKAGE_DIR, 'models', 'figmath-policy');

/** Opens the policy that a specification names: `embedded`, `simulated`, `recorded:FILE`,
 *  `onnx:DIR` or a folder, or URLs separated by commas.
 *  @throws SteptreeError POLICY_UNKNOWN and what the host throws at start */
export async function createPolicy(
  settings: PolicySettings,
  signal: AbortSignal,
  onWarning: (message: string) => void,
): Promise<PolicyHandle> {
  const { spec } = settings;
  if (spec === 'embedded') return onnxHandle(EMBEDDED_POLICY_DIR, 'embedded', settings);
  if (spec === 'simulated') return simulatedHandle(settings);
  if (spec.startsWith('recorded:')) return recordedHandle(spec.slice('recorded:'.length), settings);
  if (/^https?:\/\//.test(spec)) return openAiHandle(settings, signal, onWarning);
  const folder = spec.startsWith('onnx:') ? spec.slice('onnx:'.length) : spec;
  if (spec !== folder || existsSync(folder)) return onnxHandle(resolve(folder), folder, settings);
  throw unknownPolicy(spec);
}

/** What a run must know of its policy where others open it. */
export type PolicyFacts = Pick<PolicyHandle, 'kind' | 'name' | 'checksImages' | 'identity'>;

/** What a policy is, without opening it but for a server, which is asked for its model.
 *  @throws as `createPolicy` */
export async function policyFacts(
  settings: PolicySettings,
  signal: AbortSignal,
  onWarning: (message: string) => void,
): Promise<PolicyFacts> {
  const { spec, onnx } = settings;
  if (spec === 'simulated') {
    const identity = simulatedIdentity(settings);
    return { kind: 'simulated', name: 'simulated', checksImages: true, identity };
  }
  if (spec.startsWith('recorded:')) {
    return { kind: 'recorded', name: spec, checksImages: false, identity: RECORDED_IDENTITY };
  }
  if (/^https?:\/\//.test(spec)) {
    const handle = await openAiHandle(settings, signal, onWarning);
    await handle.close();
    const { kind, name, checksImages, identity } = handle;
    return { kind, name, checksImages, identity };
  }
  // The folder may be at the workers only.
  const folder = spec.startsWith('onnx:') ? spec.slice('onnx:'.length) : spec;
  if (spec === folder && spec !== 'embedded' && !existsSync(folder)) throw unknownPolicy(spec);
  return { kind: 'onnx', name: folder, checksImages: true, identity: onnxIdentity(folder, onnx) };
}

function unknownPolicy(spec: string): SteptreeError {
  return new SteptreeError(
    'OPTION_POLICY_UNKNOWN',
    `--policy ${spec} is neither embedded, simulated, recorded:FILE, an http(s) URL nor an existing model folder`,
    { policy: spec },
  );
}

const RECORDED_IDENTITY = { host: 'recorded' };

function onnxIdentity(shown: string, onnx: OnnxOptions) {
  const { systemPrompt, decoder } = onnx;
  return { host: 'onnx', model: shown, systemPrompt, decoder, ...providerFact(onnx) };
}

/** Another provider rounds otherwise: its replies are others. */
function providerFact({ onnxProvider }: OnnxOptions) {
  return onnxProvider === 'cpu' ? {} : { provider: onnxProvider };
}

function simulatedIdentity({ simulated }: PolicySettings) {
  const { latencyMs: _, ...identity } = simulated;
  return { host: 'simulated', ...identity };
}

async function openAiHandle(
  { spec, splitter, openai }: PolicySettings,
  signal: AbortSignal,
  onWarning: (message: string) => void,
): Promise<PolicyHandle> {
  const urls = spec.split(',').map((url) => url.trim());
  const host = await createOpenAiPolicy(urls, openai, {
    splitter: createSplitter(splitter),
    onWarning,
    signal,
  });
  const { systemPrompt, promptTemplate, stop } = openai;
  // What the probe found, not `auto`: a server that continues otherwise later is noticed.
  const { continuation } = host.describe();
  return {
    kind: 'openai',
    name: host.name,
    checksImages: true,
    takesTurns: continuation !== 'completions',
    maxInFlight: host.maxInFlight,
    identity: {
      host: 'openai',
      model: host.name,
      continuation,
      systemPrompt,
      promptTemplate,
      stop,
    },
    sample: (request, abort) => host.sample(request, abort),
    describe: () => host.describe(),
    stats: async () => ({ ...(await host.stats()) }),
    close: () => host.close(),
  };
}

async function onnxHandle(
  folder: string,
  shown: string,
  { onnx, maxInFlight }: PolicySettings,
): Promise<PolicyHandle> {
  // Loaded only when wanted: onnxruntime is large, and other hosts need none of it.
  const { createOnnxPolicy } = await import('./onnx/host.js');
  const host = await createOnnxPolicy(folder, onnx);
  const provider = providerFact(onnx);
  return {
    kind: 'onnx',
    name: host.name,
    checksImages: true,
    takesTurns: false,
    maxInFlight,
    identity: onnxIdentity(shown, onnx),
    sample: (request, abort) => host.sample(request, abort),
    describe: () => ({ host: 'onnx', model: shown, threads: onnx.threads, ...provider }),
    stats: async () => ({ ...(await host.stats()) }),
    close: () => host.close(),
  };
}

async function recordedHandle(
  file: string,
  { maxInFlight }: PolicySettings,
): Promise<PolicyHandle> {
  const host = await createRecordedPolicy(file);
  return {
    kind: 'recorded',
    name: host.name,
    checksImages: false,
    takesTurns: false,
    maxInFlight,
    identity: RECORDED_IDENTITY,
    sample: (request, abort) => host.sample(request, abort),
    describe: () => host.describe(),
    stats: async () => ({ ...(await host.stats()) }),
    skip: (problemId, prefix, count) => host.skip(problemId, prefix, count),
    close: () => host.close(),
  };
}

function simulatedHandle(settings: PolicySettings): PolicyHandle {
  const { simulated, maxInFlight } = settings;
  const host = createSimulatedPolicy(simulated);
  return {
    kind: 'simulated',
    name: host.name,
    checksImages: true,
    takesTurns: false,
    maxInFlight,
    identity: simulatedIdentity(settings),
    sample: (request, abort) => host.sample(request, abort),
    describe: () => host.describe(),
    stats: async () => ({ ...(await host.stats()) }),
    close: () => host.close(),
  };
}

/** One line for the log: which host, which model, how a prefix is continued. */
export function policyLine(policy: PolicyHandle): string {
  const facts = Object.entries(policy.describe())
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
    .map(([name, value]) => `${name} ${String(value)}`);
  return `policy ${policy.name}: ${facts.join(', ')}`;
}
