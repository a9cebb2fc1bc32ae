import { createHash } from 'node:crypto';
import { errorTable } from '../../model/contract/errors.js';
import type { Json } from '../../model/values/json.js';
import { escapeUnseen, toVisibleJson } from '../../model/values/visible.js';
import { answer, type Call, type Page } from '../http/call.js';
import type { Problem } from '../contract/problem.js';

/** Markup that goes into a page as it is. Everything else is escaped. */
export interface Html {
  readonly html: string;
}

type Part = string | number | Html | readonly Html[];

/**
 * Template tag: what is filled in is escaped, unless it is `Html`. Characters that are invisible, reverse the text around them, or
 * begin a new line are made visible, since a person decides on what they read here.
 */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return {
    html: strings.reduce((text, literal, index) => `${text}${renderPart(parts[index - 1] ?? '')}${literal}`),
  };
}

function renderPart(part: Part): string {
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(escapeUnseen(String(part)));
  return 'html' in part ? part.html : part.map((item) => item.html).join('');
}

/** A value as JSON, escaped and made visible in the same way. */
export function jsonHtml(value: Json): Html {
  return { html: escapeHtml(toVisibleJson(value)) };
}

/** What a person has typed, for the field in which they typed it: unchanged, so that what they send again is the same. */
export function typedHtml(text: string): Html {
  return { html: escapeHtml(text) };
}

function escapeHtml(value: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb, currentColor 6%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } code, pre, textarea { font: 14px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); padding: .35rem .8rem .35rem 0; overflow-wrap: anywhere; }
th { white-space: nowrap; font-weight: 600; } .warn { border-left: 4px solid #c60; padding-left: .75rem; }
input, textarea { width: 100%; box-sizing: border-box; padding: .5rem; font-size: 1rem; } input[type=checkbox] { width: auto; }
button { font-size: 1rem; padding: .6rem 1.2rem; margin: .75rem .75rem 0 0; } button.enter { position: absolute; width: 0; height: 0; padding: 0; margin: 0; border: 0; opacity: 0; }`;

/** Pages run nothing and load nothing, and their forms go nowhere else. */
const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`;

export function page(
  status: number,
  title: string,
  body: Html,
  headers: Readonly<Record<string, string>> = {},
): Page {
  const text = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex"><title>${escapeHtml(title)}</title><style>${style}</style></head>
<body>${body.html}</body></html>
`;
  const found = answer(status, text, { 'Content-Security-Policy': policy, ...headers });
  return { ...found, media: 'text/html; charset=utf-8' };
}

/**
 * For a browser that fetches the page before anybody wants it. What is answered with 503 it does not show, but asks again once the
 * page is opened, so that whoever reads an approval is known to have read it.
 */
export const notAhead = page(
  503,
  'Not opened yet',
  html`<p>This page is given only to who opens it: open it again.</p>`,
);

/** Who is signed in, and the button to sign out: on every page where a signed-in person may end up. */
export function signOutForm(who: string): Html {
  return html`<form method="post" action="/sign-out">
    <p>Signed in as ${who}. <button>Sign out</button></p>
  </form>`;
}

/** A problem as a page, with what to do next: back to what the form was about, or sign out of the wrong session. */
export function problemPage(
  { request, signedInAs }: Pick<Call, 'request' | 'signedInAs'>,
  { code, detail, headers }: Problem,
): Page {
  const { status, title } = errorTable[code];
  const isMissing = code === 'NOT_FOUND' && signedInAs !== null;
  return page(
    status,
    title,
    html`<h1>${title}</h1>
      <p>${detail}</p>
      ${isMissing ? html`<p>Where it is for somebody else, sign out and open this address again.</p>` : ''}
      <p><code>${code}</code></p>
      ${backFrom(request)}${signedInAs === null ? '' : signOutForm(signedInAs)}`,
    headers,
  );
}

/** The link back to the form. A form is sent to the address of its own page. */
function backFrom({ method, url = '' }: Call['request']): Html {
  const [path = ''] = url.split('?');
  if (method !== 'POST') return html``;
  if (path === '/sign-in') return html`<p><a href="/sign-in">Back to the sign-in</a></p>`;
  return /^\/(approvals|links)\/[\w-]+$/.test(path)
    ? html`<p><a href="${path}">Back to the approval</a></p>`
    : html``;
}
