import { mostReasonLength } from '../../model/contract/api.js';
import { unreadableText } from '../../model/approval-status.js';
import { giveWay } from '../../model/give-way.js';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import type { RequiredReasons } from '../../service/approvals/judge.js';
import type { Page } from '../http/call.js';
import { html, jsonHtml, page, typedHtml, type Html } from './html.js';

// The exact action as a page, for the person who decides. It shows the body of `GET /v1/approvals/{id}`.

/** `waits`: the approval is neither approved nor ended. */
export async function approvalHtml(body: JsonObject, waits: boolean): Promise<Html> {
  const by = isObject(body['requestedBy']) ? body['requestedBy'] : {};
  const gone = Array.isArray(body['unreadable']) ? body['unreadable'] : [];
  const shown = (part: string): Html | string =>
    gone.includes(part) ? unreadableText : jsonHtml(body[part] ?? null);
  // Both values may be long, so the process serves others between them.
  const given = shown('arguments');
  await giveWay();
  const preview = shown('preview');
  await giveWay();
  const rows: readonly (readonly [string, Html | string])[] = [
    ['status', text(body['status'])],
    ['asked by', `${text(by['id'])} (${text(by['kind'])})`],
    ['asked at', text(body['requestedAt'])],
    ['flow', `${text(body['flow'])} version ${text(body['flowVersion'])} in ${text(body['environment'])}`],
    ['action', `${text(body['transition'])} ${body['tool'] === null ? '' : `(${text(body['tool'])})`}`],
    ['tier', text(body['tier']) || 'none'],
    ['arguments', html`<pre>${given}</pre>`],
    ['what would run', html`<pre>${preview}</pre>`],
    ['why it is asked', text(body['reason'])],
    ...gateRows(body['gates']),
    ...undeliveredTexts(body['delivery']).map((line) => ['not told', line] as const),
    ...(waits ? [['if nobody decides', text(body['onExpiry'])] as const] : []),
    ['run', text(body['run'])],
    ['digest', html`<code>${text(body['digest'])}</code>`],
  ];
  return html`<h1>${text(body['summary'])}</h1>
    ${waits ? html`<p class="warn">${text(body['consequence'])}</p>` : ''}
    <table>
      ${rows.map(
        ([name, value]) =>
          html`<tr>
            <th>${name}</th>
            <td>${value}</td>
          </tr>`,
      )}
    </table>
    ${decisionsHtml(body['decisions'])}`;
}

/** A row for each gate. Every gate must be approved. */
function gateRows(value: Json | undefined): (readonly [string, string])[] {
  if (!Array.isArray(value)) return [];
  const all = value.filter(isObject);
  return all.map((gate) => [
    all.length === 1 ? 'who decides' : `who decides: ${text(gate['rule'])}`,
    text(gate['text']),
  ]);
}

function undeliveredTexts(delivery: Json | undefined): string[] {
  const channels = isObject(delivery) ? delivery['channels'] : undefined;
  if (!Array.isArray(channels)) return [];
  return channels
    .filter(isObject)
    .filter((channel) => channel['status'] === 'failed' || channel['status'] === 'retrying')
    .map((channel) => `${text(channel['channel'])} (${text(channel['event'])}): ${text(channel['detail'])}`);
}

function decisionsHtml(value: Json | undefined): Html {
  if (!Array.isArray(value) || value.length === 0) return html``;
  const rows = value.filter(isObject).map((decision) => {
    const by = isObject(decision['by']) ? decision['by'] : {};
    return html`<tr>
      <td>${text(decision['at'])}</td>
      <td>${text(by['id'])}</td>
      <td>${text(decision['decision'])} (${text(decision['status'])})</td>
      <td>${decision['unreadable'] === undefined ? text(decision['reason']) : unreadableText}</td>
    </tr>`;
  });
  return html`<h2>Decisions</h2>
    <table>
      ${rows}
    </table>`;
}

const mineLabel = 'I have read what would run, and decide it myself';
export const tickMine = `who decides by a link ticks “${mineLabel}”, or signs in`;

/** What a form asks for. */
export interface AskedDecision extends RequiredReasons {
  readonly mayApprove: boolean;
}

/**
 * The buttons send the digest that this page shows, so that a decision about what has changed meanwhile is refused. `token` is
 * that of the session; null: the reader is not signed in, and has to tick that they decide themselves. Programs that follow the
 * links of a mail also send the forms that they find, as they are served: such a form decides nothing. `reason`: what the person has
 * typed before; a browser drops the new line before it.
 */
export function decisionForm(
  action: string,
  digest: string,
  token: string | null,
  asked: AskedDecision,
  reason: string,
): Html {
  // Enter in a field presses the first button that is drawn and not disabled: a button that decides nothing.
  return html`<form method="post" action="${action}">
    <button class="enter" tabindex="-1" aria-hidden="true"></button>
    <input type="hidden" name="digest" value="${digest}" /><input
      type="hidden"
      name="token"
      value="${token ?? ''}"
    />
    <p>
      <label
        >Reason ${reasonText(asked)}<textarea name="reason" rows="3" maxlength="${mostReasonLength}">
${typedHtml(reason)}</textarea>
      </label>
    </p>
    ${
      token === null
        ? html`<p>
            <label><input type="checkbox" name="mine" value="yes" required /> ${mineLabel}</label>
          </p>`
        : ''
    }
    ${asked.mayApprove ? html`<button name="decision" value="approve">Approve</button>` : ''}<button
      name="decision"
      value="deny"
    >
      Deny
    </button>
  </form>`;
}

function reasonText({ approve, deny }: RequiredReasons): string {
  if (approve === deny) return approve ? '(required)' : '(optional)';
  return approve ? '(required to approve)' : '(required to deny)';
}

export function signInForm(next: string, why: string): Html {
  return html`<h1>Sign in to decide</h1>
    ${why === '' ? '' : html`<p>${why}</p>`}
    <form method="post" action="/sign-in">
      <input type="hidden" name="next" value="${next}" />
      <p>
        <label
          >Your key, or a token of your organisation<input
            type="password"
            name="credential"
            autocomplete="off"
            required
        /></label>
      </p>
      <button>Sign in</button>
    </form>`;
}

/** The page for whoever has to sign in first. */
export function signInFirst(next: string, why: string): Page {
  return { ...page(401, 'Sign in', signInForm(next, why)), code: 'UNAUTHENTICATED' };
}

function text(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
