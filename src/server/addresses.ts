import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Networks that a service must not be made to call: itself, its neighbours, its cloud's metadata. */
const FORBIDDEN = new BlockList();

for (const [net, bits] of [
  ['0.0.0.0', 8], // "this" network
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // carrier-grade NAT
  ['127.0.0.0', 8],
  ['169.254.0.0', 16], // link-local, cloud metadata
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16],
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, broadcast
] as const) {
  FORBIDDEN.addSubnet(net, bits, 'ipv4');
}

/** Outside of the global unicast range nothing is public. */
const GLOBAL_IPV6 = new BlockList();
GLOBAL_IPV6.addSubnet('2000::', 3, 'ipv6');

for (const [net, bits] of [
  ['2001::', 23], // protocol assignments: Teredo (which hides an IPv4 address), ORCHID, …
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4, which hides an IPv4 address
  ['3fff::', 20], // documentation
] as const) {
  FORBIDDEN.addSubnet(net, bits, 'ipv6');
}

/** Whether an address is on the public internet. IPv6 addresses that carry an IPv4 address
 *  (`::ffff:10.0.0.1`, NAT64's `64:ff9b::`, 6to4, Teredo) are not: they lead anywhere. */
export function isPublicAddress(address: string): boolean {
  const bare = address.split('%', 1)[0] ?? '';
  if (isIPv4(bare)) return !FORBIDDEN.check(bare, 'ipv4');
  if (!isIPv6(bare)) return false;
  return GLOBAL_IPV6.check(bare, 'ipv6') && !FORBIDDEN.check(bare, 'ipv6');
}

/** Whether only this machine can reach a service that listens there. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (bare === 'localhost' || bare === '::1') return true;
  return isIPv4(bare) && bare.startsWith('127.');
}
