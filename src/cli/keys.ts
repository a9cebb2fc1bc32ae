import type { SigningKeyJson } from '../model/contract/answer-types.js';
import type { Command, Shown, Values } from './options.js';
import { remote } from './remote.js';
import { CliError, type Api, type Received } from './rest.js';
import { list, text } from './show.js';

// Commands for operators: the service's own signing keys.

export const keyCommands: Readonly<Record<string, Command>> = {
  keys: {
    takes: ['list|rotate|retire', '…key'],
    options: ['window'],
    what: 'the keys that decisions are signed with: list them, sign with a new key, retire a key (--window 10m)',
    run: remote(runKeys),
  },
};

async function runKeys(api: Api, [verb, ...named]: readonly string[], { window }: Values): Promise<Shown> {
  const body = window === undefined ? {} : { window };
  const [keyId, another] = named;
  if (verb === 'list' && keyId === undefined && window === undefined)
    return showKeys(await api.get<Keys>('/v1/signing-keys'));
  if (verb === 'rotate' && keyId === undefined)
    return showKeys(await api.post<Keys>('/v1/signing-keys', body));
  if (verb === 'retire' && keyId !== undefined && another === undefined) {
    const path = `/v1/signing-keys/${encodeURIComponent(keyId)}/retire`;
    return showKeys({ data: [await api.post<SigningKeyJson>(path, body)] });
  }
  throw new CliError(
    'usage: countersign keys list\n' +
      '       countersign keys rotate [--window 10m]\n' +
      '       countersign keys retire <key> [--window 10m]',
    2,
  );
}

interface Keys {
  readonly data: readonly SigningKeyJson[];
}

function showKeys(json: Received<Keys>): Shown {
  const lines = list(json.data).map(({ keyId, status, createdAt, retiredAt }) => {
    const until = status === 'active' ? '' : `, taken until ${text(retiredAt)}`;
    return `${text(keyId)}  ${text(status)}, made ${text(createdAt)}${until}`;
  });
  return { json, lines };
}
