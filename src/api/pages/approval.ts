import { mostReasonLength } from '../../model/api.js';
import { giveWay } from '../../model/give-way.js';
import { isObject, type Json, type JsonObject } from '../../model/json.js';
import type { ReasonsAsked } from '../../service/approvals/judge.js';
import type { Page } from '../http/call.js';
import { html, jsonHtml, page, type Html } from './html.js';

// The exact action, as a person decides it. The same body as `GET /v1/approvals/{id}`.

/** `waits`: it is neither approved nor ended. */
export async function approvalHtml(body: JsonObject, waits: boolean): Promise<Html> {
  const by = isObject(body['requestedBy']) ? body['requestedBy'] : {};
  // Each of them may be long.
  const given = jsonHtml(body['arguments'] ?? null);
  await giveWay();
  const preview = jsonHtml(body['preview'] ?? null);
  await giveWay();
  const rows: readonly (readonly [string, Html | string])[] = [
    ['status', text(body['status'])],
    ['asked by', `${text(by['id'])} (${text(by['kind'])})`],
    ['asked at', text(body['requestedAt'])],
    ['flow', `${text(body['flow'])} version ${text(body['flowVersion'])} in ${text(body['environment'])}`],
    ['action', `${text(body['transition'])} ${body['tool'] === null ? '' : `(${text(body['tool'])})`}`],
    ['tier', text(body['tier'])],
    ['arguments', html`<pre>${given}</pre>`],
    ['what would run', html`<pre>${preview}</pre>`],
    ['why it is asked', text(body['reason'])],
    ...gates(body['gates']),
    ...notTold(body['delivery']).map((one) => ['not told', one] as const),
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
    ${decisions(body['decisions'])}`;
}

/** All of them must be approved. */
function gates(value: Json | undefined): (readonly [string, string])[] {
  if (!Array.isArray(value)) return [];
  const all = value.filter(isObject);
  return all.map((one) => [
    all.length === 1 ? 'who decides' : `who decides: ${text(one['rule'])}`,
    text(one['text']),
  ]);
}

function notTold(delivery: Json | undefined): string[] {
  const channels = isObject(delivery) ? delivery['channels'] : undefined;
  if (!Array.isArray(channels)) return [];
  return channels
    .filter(isObject)
    .filter((one) => one['status'] === 'failed' || one['status'] === 'retrying')
    .map((one) => `${text(one['channel'])} (${text(one['event'])}): ${text(one['detail'])}`);
}

function decisions(value: Json | undefined): Html {
  if (!Array.isArray(value) || value.length === 0) return html``;
  const rows = value.filter(isObject).map((one) => {
    const by = isObject(one['by']) ? one['by'] : {};
    return html`<tr>
      <td>${text(one['at'])}</td>
      <td>${text(by['id'])}</td>
      <td>${text(one['decision'])} (${text(one['status'])})</td>
      <td>${text(one['reason'])}</td>
    </tr>`;
  });
  return html`<h2>Decisions</h2>
    <table>
      ${rows}
    </table>`;
}

/** Both buttons name the digest that this page shows: what changed meanwhile is refused. */
export function decisionForm(action: string, digest: string, token: string, asked: ReasonsAsked): Html {
  return html`<form method="post" action="${action}">
    <input type="hidden" name="digest" value="${digest}" /><input
      type="hidden"
      name="token"
      value="${token}"
    />
    <p>
      <label
        >Reason ${reasonText(asked)}<textarea
          name="reason"
          rows="3"
          maxlength="${mostReasonLength}"
        ></textarea>
      </label>
    </p>
    <button name="decision" value="approve">Approve</button><button name="decision" value="deny">Deny</button>
  </form>`;
}

function reasonText({ approve, deny }: ReasonsAsked): string {
  if (approve === deny) return approve ? '(required)' : '(optional)';
  return approve ? '(required to approve)' : '(required to deny)';
}

export function signInForm(next: string, why: string): Html {
  return html`<h1>Sign in to decide</h1>
    <p>${why}</p>
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

/** To whoever has to sign in first. */
export function signInFirst(next: string, why: string): Page {
  return { ...page(401, 'Sign in', signInForm(next, why)), code: 'UNAUTHENTICATED' };
}

function text(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
