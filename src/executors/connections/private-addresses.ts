import { BlockList, isIP, isIPv4 } from 'node:net';

// Which addresses are not public: nothing is called there unless its connection says that it is meant.

const blockedV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
/**
 * Besides loopback, link-local, ULA, site-local and multicast: every range whose addresses contain a v4 address. NAT64
 * (64:ff9b::/96, RFC 6052) is the exception, since a network without IPv4 reaches public hosts by it: there the v4 address is judged.
 */
const blockedV6: readonly (readonly [string, number])[] = [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['::ffff:0:0:0', 96],
  ...blockedV4.map(([network, prefix]) => [`64:ff9b::${network}`, 96 + prefix] as const),
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
];

// Two lists: in a common list, the v6 range of mapped addresses would match every v4 address.
const privateV4 = blockList(blockedV4, 'ipv4');
const privateV6 = blockList(blockedV6, 'ipv6');

function blockList(ranges: readonly (readonly [string, number])[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of ranges) list.addSubnet(network, prefix, family);
  return list;
}

/** True for a text that is no address as well: what cannot be judged does not count as public. */
export function isPrivateAddress(address: string): boolean {
  const plain = address.split('%')[0] ?? '';
  if (isIPv4(plain)) return privateV4.check(plain, 'ipv4');
  return isIP(plain) === 6 ? privateV6.check(plain, 'ipv6') : true;
}

/** Whether the host of an address is private without asking anybody: it is an IP address, or `localhost`. */
export function hasPrivateHost(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const host = new URL(address).hostname.replace(/^\[|\]$|\.$/g, '');
  return host === 'localhost' || (isIP(host) !== 0 && isPrivateAddress(host));
}
