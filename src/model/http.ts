// What HTTP can carry: the same for the check of a policy and for the call.

export const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** They say where a request goes and where it ends: the service's own, whoever writes the others. */
export const reservedHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
