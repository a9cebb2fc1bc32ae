import { isOpen, unreadableText } from '../../../model/approval-status.js';
import { isObject, type Json, type JsonObject } from '../../../model/values/json.js';
import type { NotificationEvent } from '../../../model/contract/notifications.js';
import { truncate } from '../../../model/values/text.js';
import type { Notification } from '../../types.js';
import { escapeUnseen, toVisibleJson } from '../../../model/values/visible.js';

export interface EmailText {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

const titles: Readonly<Record<NotificationEvent, string>> = {
  requested: 'Approval asked for',
  reminder: 'Still waiting for approval',
  escalated: 'Escalated to you',
  decided: 'Decided',
  expired: 'Expired',
  revoked: 'Revoked',
};

/** Writes what a person needs to decide: the summary, exactly what would run, what follows, until when, and where to decide. */
export function writeEmail({ event, body, url, link, approval }: Notification): EmailText {
  const title = titles[event];
  const open = isOpen(body['status']);
  const exact = exactArguments(body);
  const facts: [string, string][] = [
    ['Tool', `${textOf(body, 'tool') || textOf(body, 'transition')} (${textOf(body, 'tier') || 'no tier'})`],
    ['Flow', `${textOf(body, 'flow')} in ${textOf(body, 'environment')}`],
    ['Asked by', describeRequester(body)],
    ['Why it is asked', textOf(body, 'reason') || 'its policy asks for it'],
    ...gatesOf(body),
    ['When approved', textOf(body, 'consequence')],
    [open ? 'If nobody decides' : 'Status', open ? textOf(body, 'onExpiry') : textOf(body, 'status')],
    ['Digest', textOf(body, 'digest')],
  ];
  const place = makePlace({ url, link, approval, open });
  const text = [
    `${title}: ${textOf(body, 'summary')}`,
    '',
    'Exactly these arguments:',
    exact,
    '',
    ...facts.map(([name, value]) => `${name}: ${value}`),
    '',
    place.text,
    '',
  ].join('\n');
  const rows = facts.map(
    ([name, value]) => `<tr><th align="left">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  const html = `<!doctype html><html><body><p>${escapeHtml(title)}</p><h1>${escapeHtml(textOf(body, 'summary'))}</h1><p>Exactly these arguments:</p><pre>${escapeHtml(exact)}</pre><table>${rows.join('')}</table>${place.html}</body></html>`;
  return { subject: shortenSubject(`${title}: ${textOf(body, 'summary')}`), text, html };
}

const longestShown = 20_000;

/** The arguments as a whole; if they are too long, only a hint, since a part of them would mislead. */
function exactArguments(body: JsonObject): string {
  const { unreadable } = body;
  if (Array.isArray(unreadable) && unreadable.includes('arguments')) return unreadableText;
  const text = toVisibleJson(body['arguments'] ?? {});
  return text.length > longestShown
    ? `(${text.length} characters, too many for a mail: read them on the page before you decide)`
    : text;
}

interface WhereToDecide {
  readonly text: string;
  readonly html: string;
}

function makePlace({
  url,
  link,
  approval,
  open,
}: Pick<Notification, 'url' | 'link' | 'approval'> & { readonly open: boolean }): WhereToDecide {
  if (link !== null)
    return {
      text: `Look at it and decide, with this link of yours (it decides once, is for you alone, and is soon over):\n${link}`,
      html: `<p><a href="${escapeHtml(link)}">Look at it and decide</a>. This link is for you alone, decides once, and is soon over.</p>`,
    };
  const verb = open ? 'Look at it and decide' : 'Look at it';
  if (url !== null)
    return { text: `${verb}: ${url}`, html: `<p><a href="${escapeHtml(url)}">${verb}</a></p>` };
  return {
    text: `${verb}: approval ${approval} in your Countersign`,
    html: `<p>${verb}: approval ${escapeHtml(approval)} in your Countersign</p>`,
  };
}

/** The gates of the approval, all of which must be approved. */
function gatesOf(body: JsonObject): [string, string][] {
  const all = Array.isArray(body['gates']) ? (body['gates'] as readonly Json[]).filter(isObject) : [];
  return all.map((gate) => [
    all.length === 1 ? 'Who decides' : `Who decides (${textOf(gate, 'rule')})`,
    textOf(gate, 'text'),
  ]);
}

function describeRequester(body: JsonObject): string {
  const by = body['requestedBy'];
  return typeof by === 'object' && by !== null && !Array.isArray(by)
    ? `${textOf(by as JsonObject, 'id')} (${textOf(by as JsonObject, 'kind')})`
    : '';
}

function textOf(body: JsonObject, name: string): string {
  const value = body[name];
  return typeof value === 'string' ? escapeUnseen(value) : '';
}

const longestSubject = 160;

function shortenSubject(text: string): string {
  return truncate(text, longestSubject);
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => entities[char] ?? char);
}
