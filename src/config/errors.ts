/** Codes of errors raised for options: by src/config/, src/cli/ and where a host is chosen. */
export const OPTION_ERROR_CODES = [
  'OPTION_CONFIG_UNREADABLE',
  'OPTION_POLICY_UNKNOWN',
  'OPTION_PRM_UNKNOWN',
  'OPTION_UNKNOWN',
] as const;
