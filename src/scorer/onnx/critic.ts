import { createMarkerCritic, createMarkerHost, createPathScorer } from '../../../prm/index.js';
import { SteptreeError } from '../../../search/errors.js';
import { createOnnxPolicy } from '../../policy/onnx/host.js';
import { onnxOptions } from '../../policy/onnx/options.js';
import type { CriticHandle } from '../create.js';
import type { ScorerSettings } from '../options.js';
import { createOnnxMarkerModel } from './host.js';
import { readPrmFolder } from './prm-folder.js';

/** Opens a folder that training/train_critic.py made, twice: as reward model and as policy.
 *  @param shown the folder as the user named it, for messages and `identity`
 *  @throws SteptreeError ONNX_FOLDER for a folder that only scores, and as its hosts throw */
export async function openFolderCritic(
  folder: string,
  shown: string,
  settings: Pick<ScorerSettings, 'markerCritic' | 'onnx' | 'batching' | 'prompt'>,
): Promise<CriticHandle> {
  const { correctionPrefix, marker } = await readPrmFolder(folder);
  if (correctionPrefix === undefined) {
    throw new SteptreeError(
      'ONNX_FOLDER',
      `${folder} scores steps but corrects none: its steptree_prm.json has no correctionPrefix; make a critic with training/train_critic.py, or name another with --critic`,
      { path: folder },
    );
  }
  const { onnx, batching, prompt, markerCritic } = settings;
  const { maxBatch } = batching;
  const model = await createOnnxMarkerModel(folder, { ...onnx, maxBatch });
  const host = createMarkerHost(model, { ...prompt, marker: marker.text });
  const scorer = createPathScorer(host, batching);
  try {
    const writer = await createOnnxPolicy(folder, onnxOptions.parse({ ...onnx, maxBatch }));
    const parts = { scorer, writer, marker: marker.text, correctionPrefix };
    return {
      ...createMarkerCritic(parts, markerCritic),
      name: `critic:${shown}`,
      identity: { model: shown, ...markerCritic },
      async close() {
        await Promise.all([scorer.close(), writer.close()]);
      },
    };
  } catch (error) {
    await scorer.close();
    throw error;
  }
}
