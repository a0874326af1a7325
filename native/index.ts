/** Kernels over whole vocabularies: the addon's where it was built, else their TypeScript twins. Both
 *  give the same bits. */
import { addonKernels, addonPath, loadAddon } from './addon.js';
import type { Kernels } from './kernels.js';
import { typescriptKernels } from './sampling.js';

export {
  type DrawRequest,
  type GatherRequest,
  type Kernels,
  SETTINGS,
  writeSettings,
} from './kernels.js';
export { typescriptKernels } from './sampling.js';

export interface ChosenKernels {
  readonly kernels: Kernels;
  /** Why they are these, for `steptree doctor`. */
  readonly reason: string;
}

let chosen: ChosenKernels | null = null;

/** The kernels of this thread, chosen at the first call. `STEPTREE_NATIVE=off` takes the twins,
 *  `STEPTREE_NATIVE=portable` the addon without vector instructions. */
export function kernels(): Kernels {
  return chosenKernels().kernels;
}

export function chosenKernels(): ChosenKernels {
  chosen ??= chooseKernels(process.env.STEPTREE_NATIVE);
  return chosen;
}

/** @param wish the value of STEPTREE_NATIVE: `off`, the name of instructions, or nothing */
export function chooseKernels(wish: string | undefined): ChosenKernels {
  const twin = (reason: string): ChosenKernels => ({ kernels: typescriptKernels, reason });
  if (wish === 'off') return twin('STEPTREE_NATIVE=off');
  const path = addonPath();
  if (path === null) return twin('not built; node native/build.mjs builds them');
  try {
    const addon = loadAddon(path);
    if (wish && !addon.use(wish)) {
      return twin(`STEPTREE_NATIVE=${wish} is neither off nor instructions of this processor`);
    }
    return { kernels: addonKernels(addon), reason: 'native/build/steptree.node' };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return twin(`the addon does not load: ${message}; node native/build.mjs builds it again`);
  }
}
