#!/usr/bin/env node
import { main } from '../dist/src/cli/main.js';

// Whoever reads the output may stop early, as `head` does: that is no error.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
process.exitCode = await main(process.argv.slice(2));
