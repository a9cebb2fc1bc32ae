// A secret that is written in XML or with backslashes is hidden as whoever reads the file reads it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { makeMask } from '../../../src/executors/masking/mask.js';
import { projectRoot } from '../../../testing/paths.js';

/** `told`: a text that stays as it is. */
function hides(what: string, secret: string, hidden: readonly string[], told = 'nothing'): void {
  test(what, () => {
    const { text } = makeMask([secret]);
    for (const part of hidden) assert.equal(text(`say ${part}.`), 'say [redacted].');
    assert.equal(text(told), told);
  });
}

describe('of XML, the text of each element is hidden', () => {
  const password = ['Zq7kxLm9'];
  const nested = '<login><password>Zq7kxLm9</password></login>';
  hides('in one line', '<a><password>Zq7kxLm9</password></a>', password);
  hides('in lines of its own', '<a>\r\n  <password>\r\n    Zq7 kxLm9\r\n  </password>\r\n</a>', [
    'Zq7 kxLm9',
  ]);
  hides(
    'of Maven, but for a setting',
    '<?xml version="1.0"?>\n<settings>\n <server>\n  <host>production</host>\n  <username>finance2024</username>\n  <password>Zq7kxLm9</password>\n </server>\n</settings>\n',
    password,
    'finance2024 in production',
  );
  hides('of a user that is the secret', '<a><user>Zq7kxLm9</user><password></password></a>', password);
  hides('of SOAP', '<s:a><wsse:Password Type="x#PasswordText">Zq7kxLm9</wsse:Password></s:a>', password);
  hides('of a plist', '<plist><dict><key>Pin</key><string>Zq7kxLm9</string></dict></plist>', password);
  hides('of FileZilla, in base64', '<Server><Pass encoding="base64">WnE3a3hMbTk=</Pass></Server>', password);
  hides('of CDATA', '<a><password><![CDATA[Zq7<k>&x]]></password></a>', ['Zq7<k>&x']);
  hides('of CDATA that does not end', '<a><password><![CDATA[Zq7kxLm9', password);
  hides('in entities', '<a>Zq7&lt;kx&#76;m&amp;9</a>', ['Zq7<kxLm&9', 'Zq7&lt;kx&#76;m&amp;9']);
  hides('with a `>` in it, or before it', '<a b="x>y">Zq7kxLm9</a><c>Yq7>kxLm9</c>', [
    ...password,
    'Yq7>kxLm9',
  ]);
  hides('of a comment', '<a><!--Zq7kxLm9--><!-- <password>Yq7kxLm9</password> --></a>', [
    ...password,
    'Yq7kxLm9',
  ]);
  hides('of an attribute', '<a password="Zq7kxLm9"/>', password);
  hides('of an attribute, in entities', '<add key="ApiKey" x:value = \'Zq7"k&lt;x&amp;&apos;Lm9\'/>', [
    'Zq7"k<x&\'Lm9',
    'Zq7"k&lt;x&amp;&apos;Lm9',
  ]);
  hides(
    'of a connection string in an attribute',
    '<add connectionString="Server=erp;User ID=finance;Password=&quot;Zq7 kxLm9p&quot;;"/>',
    ['Zq7 kxLm9p', '"Zq7 kxLm9p"'],
  );
  hides(
    'of a user that is the secret, beside attributes',
    '<a b="urn:invoices"><user>Zq7kxLm9</user></a>',
    password,
  );
  hides('of XML in CDATA', `<a><b><![CDATA[${nested}]]></b></a>`, password);
  hides('of XML in entities', `<a><b>${nested.replaceAll('<', '&lt;')}</b></a>`, password);
  hides('of JSON in it', '<a>{"host":"production","pin":"Zq7kxLm9"}</a>', password);
  hides('of settings in it', '<a>Server=production;Pwd=Zq7kxLm9</a>', password);
  hides('in JSON', JSON.stringify({ settings: nested }), password);
  hides('in a file of variables', `DB_HOST=production\nLOGIN_XML='${nested}'`, password, 'production');
  hides('in base64', Buffer.from(nested).toString('base64'), password);
  hides('and of what only begins like it, every word', '<Zq7kxLm9 Yq7kxLm9', ['<Zq7kxLm9', 'Yq7kxLm9']);
});

describe('of a value with backslashes, what it says without them is hidden, in quotes and without', () => {
  const both = ['Zq7:kxLm9=p', String.raw`Zq7\:kxLm9\=p`];
  const file = (value: string): string => `db.host=production\ndb.password=${value}\n`;
  hides('of properties', file(String.raw`Zq7\:kxLm9\=p`), both, 'production');
  hides('of properties, other letters', file(String.raw`Zq7\u00fc\#k\\x\tLm9`), ['Zq7ü#k\\x\tLm9']);
  hides(
    'of properties, an address',
    file(String.raw`https\://ann\:Zq7kxLm9@erp`),
    ['Zq7kxLm9'],
    'production',
  );
  hides('of .pgpass', String.raw`erp:5432:inv:finance:Zq7\:k\\xLm9`, [String.raw`Zq7:k\xLm9`], 'finance');
  hides('of .pgpass, in lines', 'a:1:b:ann:Zq7\\:kxLm9\nc:1:d:ann:Yq7\\:kxLm9', ['Zq7:kxLm9', 'Yq7:kxLm9']);
  hides('behind a bar', String.raw`ann|Zq7\|kxLm9`, ['Zq7|kxLm9'], 'ann');
  hides('of a shell', String.raw`export PASSWORD=Zq7\$k\ xLm9`, ['Zq7$k xLm9']);
  hides('of a shell, among words', String.raw`P=Zq7\$k\ xLm9 curl http://erp`, ['Zq7$k xLm9']);
  hides('of a shell, in its quotes', String.raw`A_KEY=$'Zq7\x41\101kx'`, ['Zq7AAkx']);
  hides('in quotes of YAML', 'host: production\npassword: "Zq7\\u00fckxLm9"', ['Zq7ükxLm9'], 'production');
  hides(
    'in quotes of TOML',
    'host = "production"\npin = "Zq7\\tkxLm9\\U0001F511"',
    ['Zq7\tkxLm9🔑'],
    'production',
  );
  hides('alone', String.raw`Zq7\$kxLm9`, ['Zq7$kxLm9', String.raw`Zq7\$kxLm9`]);
});

test('XML or backslashes four times as long take about four times as much work', async (t) => {
  const script = ['--import', 'tsx', join('test', 'executors', 'masking', 'growth-of-parts.ts')];
  const { stdout } = await promisify(execFile)(process.execPath, script, { cwd: projectRoot });
  const counts = JSON.parse(stdout) as Record<string, readonly [number, number]>;
  assert.equal(Object.keys(counts).length, 23);
  for (const [secret, [quarter, whole]] of Object.entries(counts)) {
    t.diagnostic(`${secret}: ${quarter}, then ${whole}, ${(whole / quarter).toFixed(2)} times`);
    assert.ok(quarter > 0 && whole / quarter < 5.5, `${secret}: ${quarter}, then ${whole}`);
  }
});
