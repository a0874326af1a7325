/** What a test of code that uses Steptree needs: models without a model. */
export { createRecordedPolicy, type RecordedPolicy } from './policy/recorded.js';
export {
  createSimulatedPolicy,
  type SimulatedOptions,
  type SimulatedPolicy,
  simulatedOptions,
} from './policy/simulated.js';
