// What a person's browser sends to the pages, without a browser.

export interface Page {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** `fields`: of the form that is sent; null: the page is read. Redirects are not followed. */
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

/** The cookie of the session; throws where the credential is not taken. */
export async function signIn(url: string, credential: string, next = '/sign-in'): Promise<string> {
  const { status, headers, text } = await visit(`${url}/sign-in`, '', { credential, next });
  if (status !== 303) throw new Error(`not signed in (${status}): ${text}`);
  return (headers.get('set-cookie') ?? '').split(';')[0] ?? '';
}

/** Of the page's form; empty: it has none. */
export function formToken({ text }: Pick<Page, 'text'>): string {
  return /name="token"\s+value="([^"]+)"/.exec(text)?.[1] ?? '';
}

/** What the form of a link holds besides the decision and its digest, sent by who is not signed in and has ticked its box. */
export const byLink = { token: '', mine: 'yes' } as const;

/** The fields of the page's form as a program sends them that fills in nothing. */
export function servedFields({ text }: Pick<Page, 'text'>): Record<string, string> {
  const attribute = (tag: string, name: string): string =>
    new RegExp(`${name}="([^"]*)"`).exec(tag)?.[1] ?? '';
  const tags = (text.match(/<(input|textarea)\b[^>]*>/g) ?? []).filter(
    (tag) => attribute(tag, 'type') !== 'checkbox' || / checked\b/.test(tag),
  );
  return Object.fromEntries(tags.map((tag) => [attribute(tag, ' name'), attribute(tag, ' value')]));
}
