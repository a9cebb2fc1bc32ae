// Sends to the pages what a person's browser would send, without a browser.

export interface Page {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Sends the form with these `fields`; with null it reads the page. Follows no redirects. */
export async function visit(
  address: string,
  cookie = '',
  fields: Readonly<Record<string, string>> | null = null,
): Promise<Page> {
  const answer = await fetch(address, {
    method: fields === null ? 'GET' : 'POST',
    redirect: 'manual',
    ...(fields === null ? {} : { body: new URLSearchParams(fields) }),
    headers: { cookie },
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

/** Signs in and gives the cookie of the session; throws if the credential is not accepted. */
export async function signIn(url: string, credential: string, next = '/sign-in'): Promise<string> {
  const { status, headers, text } = await visit(`${url}/sign-in`, '', { credential, next });
  if (status !== 303) throw new Error(`not signed in (${status}): ${text}`);
  return (headers.get('set-cookie') ?? '').split(';')[0] ?? '';
}

/** The token of the page's form; empty if it has none. */
export function formToken({ text }: Pick<Page, 'text'>): string {
  return /name="token"\s+value="([^"]+)"/.exec(text)?.[1] ?? '';
}

/** What a link's form holds besides decision and digest, when its sender is not signed in and has ticked its box. */
export const byLink = { token: '', mine: 'yes' } as const;

/** The fields of the page's form as it was served, with nothing filled in. */
export function servedFields({ text }: Pick<Page, 'text'>): Record<string, string> {
  const attribute = (tag: string, name: string): string =>
    new RegExp(`${name}="([^"]*)"`).exec(tag)?.[1] ?? '';
  const tags = (text.match(/<(input|textarea)\b[^>]*>/g) ?? []).filter(
    (tag) => attribute(tag, 'type') !== 'checkbox' || / checked\b/.test(tag),
  );
  return Object.fromEntries(tags.map((tag) => [attribute(tag, ' name'), attribute(tag, ' value')]));
}
