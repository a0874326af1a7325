export { ONNX_ERROR_CODES } from './errors.js';
export { createOnnxPolicy, type OnnxPolicy, type OnnxPolicyStats } from './host.js';
export { type OnnxOptions, onnxOptions } from './options.js';
