import type { ConnectionOptions } from '@temporalio/client';

type TemporalOptions = ConnectionOptions & { readonly address: string };

const thisMachine = /^(localhost|127(\.\d{1,3}){3}|\[::1\]):\d+$/i;

/**
 * The options with which a server on this machine is asked without a proxy, whatever `http_proxy` says: a proxy elsewhere cannot
 * lead back here. The worker's native connection reads no such variable.
 */
export function withoutProxyHere(options: TemporalOptions): TemporalOptions {
  if (!thisMachine.test(options.address)) return options;
  return { ...options, channelArgs: { ...options.channelArgs, 'grpc.enable_http_proxy': 0 } };
}
