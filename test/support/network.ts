import { spawnSync } from 'node:child_process';

/** A network name space of the test's own, whose one link to this machine can be cut. */
export interface CutNetwork {
  /** For `ip netns exec`. */
  readonly name: string;
  /** This machine's address as the name space sees it. */
  readonly address: string;
  cut(): void;
  mend(): void;
  close(): void;
}

/** @returns null where that is not allowed, or `ip` is missing */
export function cutNetwork(): CutNetwork | null {
  const id = process.pid % 10_000;
  const name = `steptree-${id}`;
  const [here, there] = [`st-h${id}`, `st-n${id}`];
  // Of the range for benchmarks between networks (RFC 2544), which nothing else should have.
  const subnet = `198.18.${id % 250}`;
  const address = `${subnet}.1`;
  const close = () => {
    ip('link', 'del', here);
    ip('netns', 'del', name);
  };
  const made =
    ip('netns', 'add', name) &&
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name) &&
    ip('addr', 'add', `${address}/24`, 'dev', here) &&
    ip('link', 'set', here, 'up') &&
    ip('-n', name, 'addr', 'add', `${subnet}.2/24`, 'dev', there) &&
    ip('-n', name, 'link', 'set', there, 'up') &&
    ip('-n', name, 'link', 'set', 'lo', 'up');
  if (!made) {
    close();
    return null;
  }
  const link = (state: string) => ip('-n', name, 'link', 'set', there, state);
  return { name, address, cut: () => link('down'), mend: () => link('up'), close };
}

function ip(...args: string[]): boolean {
  return spawnSync('ip', args, { stdio: 'ignore' }).status === 0;
}
