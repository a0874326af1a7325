/** Codes of errors raised by the ONNX host. */
export const ONNX_ERROR_CODES = [
  'ONNX_FOLDER',
  'ONNX_CONFIG',
  'ONNX_GRAPH',
  'ONNX_LOGITS',
  'ONNX_PROVIDER_MISSING',
  'ONNX_PROMPT_TOO_LONG',
  'ONNX_HOST_CLOSED',
  'ONNX_HOST_FAILED',
] as const;
