// What of a credential is a secret, as services, databases and tools hand them out; and what beside it is none.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeMask } from '../../../src/executors/masking/mask.js';

const basic = (text: string, encoding: BufferEncoding = 'utf8'): string =>
  `Basic ${Buffer.from(text, encoding).toString('base64')}`;
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What it is in, the secret, each part of it that is hidden, and a text that is told. */
type Case = readonly [what: string, secret: string, hidden: readonly string[], told: string];

function holds(cases: readonly Case[]): void {
  for (const [what, secret, hidden, told] of cases)
    test(what, () => {
      const { text } = makeMask([secret]);
      for (const part of hidden) assert.equal(text(`say ${part}.`), 'say [redacted].');
      assert.equal(text(told), told);
    });
}

describe('the user of a credential is hidden where it is the secret', () => {
  holds([
    ['a key without a password', basic('sk_live_4eC39Hqy:'), ['sk_live_4eC39Hqy'], 'live'],
    ['a short one', basic('a93bc01d:'), ['a93bc01d'], 'a93'],
    ['a token beside a word', basic('ghp_16C7e42F292c6912:x-oauth-basic'), ['ghp_16C7e42F292c6912'], 'ghp'],
    ['a key beside an X', basic('a93bc01d2e4f:X'), ['a93bc01d2e4f'], 'X marks'],
    ['as `curl -u` takes it', 'sk_live_4eC39Hqy:', ['sk_live_4eC39Hqy'], 'live'],
    ['as `curl -u` takes it, beside an x', 'a93bc01d2e4f:x', ['a93bc01d2e4f'], 'x'],
    ['of an address', 'https://a93bc01d2e4f:x@example.com/a.git', ['a93bc01d2e4f'], 'example.com'],
    [
      'of a credential in a credential',
      JSON.stringify({ auths: { 'registry.example': { auth: base64('a93bc01d2e4f:') } } }),
      ['a93bc01d2e4f'],
      'registry.example',
    ],
    ['of a .netrc', 'machine erp login a93bc01d2e4f password x', ['a93bc01d2e4f'], 'login at erp'],
    ['of YAML', 'host: erp\nusername: Zq7kxLm9Z\npassword: ""', ['Zq7kxLm9Z'], 'username at erp'],
    ['of a file of variables', 'A_KEY=Yq7kxLm9\nUSER=Zq7kxLm9Z\nPASSWORD=', ['Zq7kxLm9Z'], 'USER'],
    ['of a connection string', 'Server=erp;User ID=Zq7kxLm9Z;Password=x', ['Zq7kxLm9Z'], 'erp'],
    ['of libpq', 'host=erp user=Zq7kxLm9Z password=x', ['Zq7kxLm9Z'], 'erp'],
    ['of JSON', '{"username":"Zq7kxLm9Z","password":"x"}', ['Zq7kxLm9Z'], 'username'],
    ['of a query', 'jdbc:db2://erp/db?user=Zq7kxLm9Z&password=x', ['Zq7kxLm9Z'], 'erp'],
    [
      'and a long one beside a password is not',
      'HOST=erp\nUSER="countersign_1"\nPASSWORD=Zq7kxLm9',
      ['Zq7kxLm9'],
      'countersign_1 at erp',
    ],
    ['and a short one beside a password is not', basic('finance:Zq7kxLm9'), ['Zq7kxLm9'], 'finance'],
    ['nor is a host beside a port', 'erp.example.com:5432', ['erp.example.com:5432'], 'erp.example.com'],
  ]);
});

describe('a password is hidden', () => {
  holds([
    ['behind a mail address', 'me@example.com:Zq7kxLm9', ['Zq7kxLm9'], 'me@example.com'],
    ['behind a number', '100234:Zq7kxLm9', ['Zq7kxLm9'], '100234'],
    ['behind nobody', ':Zq7kxLm9', ['Zq7kxLm9'], 'nobody'],
    ['behind a bar', 'finance|Zq7kxLm9', ['Zq7kxLm9'], 'finance'],
    [
      'of a Go driver for MySQL',
      'finance:Zq7kxLm9@tcp(db:3306)/inv?parseTime=true',
      ['Zq7kxLm9'],
      'finance of tcp(db:3306)',
    ],
    ['of it, with an @ in it', 'finance:Zq7@kxLm9@tcp(db:3306)/inv', ['Zq7@kxLm9'], 'finance'],
    ['of a proxy', 'finance:Zq7kxLm9@proxy.example:3128', ['Zq7kxLm9'], 'finance of proxy.example'],
    ['of a host', 'finance:Zq7kxLm9@sftp.example', ['Zq7kxLm9'], 'finance of sftp.example'],
    ['of a line of .pgpass', 'db.example:5432:inv:finance:Zq7kxLm9', ['Zq7kxLm9'], 'finance of db.example'],
    ['of a proxy in a list', 'proxy.example:3128:finance:Zq7kxLm9', ['Zq7kxLm9'], 'finance'],
    ['of a mail address in an address', 'smtp://me@example.com:Zq7kxLm9@smtp.example', ['Zq7kxLm9'], 'smtp'],
    ['beside a name in Latin-1', basic('Zoë:Zq7kxLm9', 'latin1'), ['Zq7kxLm9'], 'Zoë'],
    ['in Latin-1', basic('finance:Schlüssel-7', 'latin1'), ['Schlüssel-7'], 'finance'],
    ['with a blank', basic('finance:my own pass'), ['my own pass'], 'finance'],
  ]);
});

describe('a password behind the name of a user is hidden, wherever the list may say one', () => {
  const file = (line: string): string => `${line}\nAPI_KEY=Yq7kxLm9`;
  for (const line of [
    ...['USER=ann:Zq7kxLm9', 'LOGIN=ann|Zq7kxLm9', 'login: ann Zq7kxLm9', 'USER=ann,Zq7kxLm9'],
    ...['USER="ann Zq7kxLm9"', 'DB_USER=ann/Zq7kxLm9', 'email=a@erp:Zq7kxLm9', 'HOST=a:Zq7kxLm9@erp'],
  ])
    holds([[line, file(line), ['Zq7kxLm9', 'Yq7kxLm9'], 'ann of erp']]);
  for (const mark of [':', '|', ' ', ','])
    holds([
      [
        `JSON, behind ${JSON.stringify(mark)}`,
        JSON.stringify({ user: `ann${mark}Zq7kxLm9` }),
        ['Zq7kxLm9'],
        'ann',
      ],
      [
        `ODBC, behind ${JSON.stringify(mark)}`,
        `Server=erp;UID=ann${mark}Zq7kxLm9;X=y`,
        ['Zq7kxLm9'],
        'ann at erp',
      ],
    ]);
  for (const [kind, secret] of [
    ['JSON', JSON.stringify({ host: 'erp', login: 'ann, hunter!' })],
    ['JSON beside a password that says nothing', JSON.stringify({ login: 'ann hunter!', password: 'x' })],
    ['ODBC', 'Server=erp;UID=ann hunter!'],
    ['a file', 'host=erp\nlogin=ann hunter!'],
  ] as const)
    holds([[`of no token, where nothing else is one, in ${kind}`, secret, ['hunter!'], 'ann of erp']]);
  for (const [kind, more] of [
    ['', { host: 'erp' }],
    [' beside a password that says nothing', { password: 'x' }],
  ] as const) {
    const secret = JSON.stringify({ ...more, login: 'ann hunters' });
    holds([
      [`a word of letters, where nothing else may be one, in JSON${kind}`, secret, ['hunters'], 'ann of erp'],
    ]);
  }
  for (const [kind, secret] of [
    ['ODBC, behind a `;`', 'Server=erp;UID={ann;hunter!};Database=x;key2=abcdefgh'],
    ['a file, behind a `;`', 'DB_HOST=erp\nDB_USER=ann;hunter!\nAPI_KEY=abcdefgh'],
    ['YAML, in a list', 'host: erp\nuser: [ann hunter!]\npassword: abcdefgh'],
    ['libpq, behind an option', "host=erp user='ann -p hunter!' zpass=abcdefgh"],
    ['JSON', '{"login":"ann, hunter!","password":"abcdefgh"}'],
    ['INI', 'host=erp\nuser=ann hunter2\npassword=abcdefgh'],
  ] as const)
    holds([
      [`beside another one, in ${kind}`, secret, [/hunter[!2]/.exec(secret)?.[0] ?? '', 'abcdefgh'], 'ann'],
    ]);
  const option = "host=erp user='ann -p hunterx' zpass=abcdefgh";
  holds([['behind an option of letters alone', option, ['hunterx', 'abcdefgh'], 'ann']]);
  for (const name of [
    ...['Invoice Reader', 'Accounts Payable', 'Finance Team <team@erp.de>', 'Finance Team 2'],
    ...['Buchhaltung Köln', 'Müller, Hannah', 'Smith, Hannah', 'Invoice Reader (EU)', 'Accounts & Payable'],
  ])
    for (const [kind, secret] of [
      ['JSON', JSON.stringify({ username: name, password: 'Zq7kxLm9' })],
      ['YAML', `login: ${name}\npassword: Zq7kxLm9`],
      ['ODBC, beside a key that is none', `Server=erp;UID=${name};Pwd=Zq7kxLm9;Key=1`],
    ] as const)
      holds([
        [
          `and a name of several words in ${kind}, ${name}, as a whole only`,
          secret,
          ['Zq7kxLm9', name],
          `a ${name.split(/[ <>,&()]+/).join(', and a ')}`,
        ],
      ]);
  holds([
    [
      'and of one word, a domain or a mail address the user is told',
      'Server=erp;User ID=ACME\\finance;UID={me@erp.de};Pwd=Zq7kxLm9',
      ['Zq7kxLm9'],
      'ACME\\finance, me@erp.de',
    ],
  ]);
});

describe('of base64, what it says is hidden', () => {
  const account = { type: 'service_account', project_id: 'production', private_key_id: 'Zq7kxLm9' };
  holds([
    ['a JSON credential', base64(JSON.stringify(account)), ['Zq7kxLm9'], 'service_account of production'],
    [
      'a JSON credential in lines',
      base64(JSON.stringify(account, null, 2)).replace(/(.{76})/g, '$1\n'),
      ['Zq7kxLm9'],
      'service_account of production',
    ],
    ['a file of variables', base64('DB_HOST=production\nDB_PASSWORD=Zq7kxLm9\n'), ['Zq7kxLm9'], 'production'],
    [
      'a key in PEM',
      base64('-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----\n'),
      ['MIIEvQIBADANBgkq'],
      'KEY',
    ],
    ['a password', base64('correct-horse-7'), ['correct-horse-7'], 'correct'],
    [
      'a credential of a registry, which has another in it',
      base64(JSON.stringify({ auths: { 'registry.example': { auth: base64('finance:Zq7kxLm9') } } })),
      ['Zq7kxLm9'],
      'finance of registry.example',
    ],
  ]);
});

describe('of an address whose password has separators in it, what a tool takes for something else is hidden', () => {
  const whole = (mark: string): string => `Zq7kxLm9${mark}Tr4wvPq2`;
  for (const mark of ['/', '#', '?', '@'])
    test(`\`${mark}\``, () => {
      const { text } = makeMask([`postgres://finance:${whole(mark)}@erp.example/production`]);
      for (const part of [whole(mark), 'Zq7kxLm9', 'Tr4wvPq2'])
        assert.equal(text(`invalid "${part}"`), 'invalid "[redacted]"');
      const told = 'finance of erp.example in production';
      assert.equal(text(told), told);
    });
  holds([
    ['the port', 'redis://:a:Zq7kxLm9#Tr4wvPq2@erp.example:6379/0', ['Zq7kxLm9', 'Tr4wvPq2'], 'erp.example'],
    [
      'and of others, an @ behind the host hides nothing',
      'postgres://erp.example:5432/production?options=finance@erp',
      [],
      'production on erp.example:5432',
    ],
  ]);
});

describe('a setting beside a secret is told', () => {
  holds([
    [
      'of libpq',
      'host=erp port=5432 dbname=invoices user=finance password=Zq7kxLm9 sslmode=require',
      ['Zq7kxLm9'],
      'erp requires invoices of finance: require',
    ],
    [
      'of libpq with blanks',
      "host = erp user = finance password = 'Zq7 kxLm9p'",
      ['Zq7 kxLm9p', 'kxLm9p'],
      'finance',
    ],
    [
      'of an address with settings behind it',
      'jdbc:sqlserver://erp:1433;databaseName=invoices;user=finance;password=Zq7kxLm9;encrypt=true',
      ['Zq7kxLm9'],
      'invoices of finance',
    ],
    [
      'of a file of variables',
      '# the database\nexport DB_HOST=production\nDB_USER="finance"\nDB_PASSWORD=Zq7 kxLm9\n#OLD_PASSWORD=Yq7kxLm9',
      ['Zq7 kxLm9', 'Yq7kxLm9', 'database'],
      'finance in production',
    ],
    [
      'of a file of variables, but for what a comment says',
      'DB_HOST=production\nDB_PASSWORD=Yq7kxLm9\n# old password Zq7kxLm9\nDB_USER=me # Xq7kxLm9',
      ['Zq7kxLm9', 'Yq7kxLm9', 'Xq7kxLm9'],
      'production',
    ],
    [
      'of YAML, but for a list in it',
      'host: production\npassword:\n  ["Zq7kxLm9"]\ntokens:\n  [Yq7kxLm9, Xq7kxLm9]',
      ['Zq7kxLm9', 'Yq7kxLm9', 'Xq7kxLm9'],
      'host',
    ],
    [
      'of a file of variables, but for a name that a comment has, and what it says of it',
      'DB_HOST=production\n# note: Zq7kxLm9\n#USER=Yq7kxLm9\n# login: ann:Xq7kxLm9\nDB_PASSWORD=Wq7kxLm9',
      ['Zq7kxLm9', 'Yq7kxLm9', 'Xq7kxLm9', 'Wq7kxLm9'],
      'production',
    ],
    [
      'of INI, but for a comment behind it',
      'host = production\nuser = app ; Zq7kxLm9\nport = 80 // Yq7kxLm9\nurl = http://h ; Xq7kxLm9\npassword = Wq7kxLm9',
      ['Zq7kxLm9', 'Yq7kxLm9', 'Xq7kxLm9', 'Wq7kxLm9'],
      'production',
    ],
    [
      'of YAML, but for a list of one word, and a list or a map under a known name',
      'host: production\ntokens:\n  [correct-horse-battery]\nlogin: [Zq7kxLm9]\nuser: {p: Yq7kxLm9}\npassword: Wq7kxLm9',
      ['correct-horse-battery', 'Zq7kxLm9', 'Yq7kxLm9', 'Wq7kxLm9'],
      'production',
    ],
    ['of ODBC', 'Driver={FreeTDS};Server=erp;Pwd=Zq7kxLm9', ['Zq7kxLm9'], '{FreeTDS} at erp'],
    [
      'but not by the end of its name, where its value is no word and no number',
      'DB_HOST=production\nDB_PASSWORD=Yq7kxLm9\nDB_LOGIN=ci:geheim13\nMFA_ENCRYPTION=Xq7kxLm9\nLICENSE_TYPE=Wq7kxLm9',
      ['Yq7kxLm9', 'geheim13', 'Xq7kxLm9', 'Wq7kxLm9'],
      'production',
    ],
    [
      'of YAML',
      'db:\n  host: production\n  user: "finance"\n  password: "Zq7kxLm9"\n',
      ['Zq7kxLm9'],
      'finance in production',
    ],
    ['of INI', '[invoices]\nhost = production\npassword = Zq7kxLm9', ['Zq7kxLm9'], 'invoices in production'],
    [
      'of a Digest header',
      'Digest username="finance", realm="invoices", uri="/api/invoices", response="Zq7kxLm9"',
      ['Zq7kxLm9'],
      'Digest: invoices of finance at /api/invoices',
    ],
    [
      'in JSON, by the end of its name',
      '{"db_host":"production","x":"Zq7kxLm9"}',
      ['Zq7kxLm9'],
      'production',
    ],
    [
      'but not where its name says that it is a secret',
      'DB_HOST=production\nPASSWORD_DB=Zq7kxLm9\nSECRET_NAME=Yq7kxLm9',
      ['Zq7kxLm9', 'Yq7kxLm9'],
      'production',
    ],
    [
      'nor where there is more than settings',
      'DB_HOST=production\nMIIEvQIBADANBgkq=\nDB_PASSWORD=Zq7kxLm9\nMIIEpAIBAAKCAQEA\n',
      ['MIIEvQIBADANBgkq=', 'MIIEpAIBAAKCAQEA', 'Zq7kxLm9'],
      'DB',
    ],
  ]);
});

describe('in a file of variables, each secret of a list or of JSON is hidden', () => {
  const file = (line: string): string => `DB_HOST=production\n${line}`;
  const two = ['Zq7kxLm9', 'Yq7kxLm9'];
  const account = '{"type":"service_account","private_key_id":"Zq7kxLm9"}';
  holds([
    ['a list in JSON', file('API_KEYS=["Zq7kxLm9","Yq7kxLm9"]'), two, 'production'],
    ['a list in TOML', 'host = "production"\npasswords = ["Zq7kxLm9", "Yq7kxLm9"]\n', two, 'production'],
    ['a list in YAML', 'host: production\napi_keys: [Zq7kxLm9, Yq7kxLm9]', two, 'production'],
    ['a list between `;`', file('DB_PASSWORDS=Zq7kxLm9;Yq7kxLm9'), two, 'production'],
    ['a list between bars', file('TOKENS=Zq7kxLm9|Yq7kxLm9'), two, 'production'],
    ['a list of a shell', file('TOKENS=(Zq7kxLm9 Yq7kxLm9)'), two, 'production'],
    ['a list between colons', file('TOKENS=Zq7kxLm9:Yq7kxLm9:Xq7kxLm9'), [...two, 'Xq7kxLm9'], 'production'],
    ['a list between `/`', file('TOKENS=Zq7kxLm9/Yq7kxLm9'), two, 'production'],
    [
      'a query, and no word of a path',
      file('T=a=Zq7kxLm9&b=Yq7kxLm9\nLOGS=/var/countersign'),
      two,
      'countersign',
    ],
    ['what stands in for a variable', file('TOKEN=${TOKEN:-Zq7kxLm9}'), ['Zq7kxLm9'], 'production'],
    ['in quotes of a shell', file("A=$'Zq7kxLm9'\nB=`Yq7kxLm9`"), two, 'production'],
    ['in three quotes', `host = "production"\na = """Zq7kxLm9"""\nb = '''Yq7kxLm9'''`, two, 'production'],
    ['a list in quotes', file(`TOKENS='["Zq7kxLm9", "Yq7kxLm9"]'`), two, 'production'],
    ['a list in a list of settings', 'Server=erp;Keys=["Zq7kxLm9","Yq7kxLm9"];X=y', two, 'erp'],
    ['JSON', file('USERS={"ann":"Zq7kxLm9"}'), ['Zq7kxLm9'], 'production'],
    ['JSON in quotes', file(String.raw`USERS="{\"ann\":\"Zq7kxLm9\"}"`), ['Zq7kxLm9'], 'production'],
    ['what Python writes', file("USERS={'ann':'Zq7kxLm9'}"), ['Zq7kxLm9'], 'production'],
    ['a list of JSON', file('USERS=[{"user":"finance","pass":"Zq7kxLm9"}]'), ['Zq7kxLm9'], 'finance'],
    ['a credential', file(`GOOGLE_CREDENTIALS=${account}`), ['Zq7kxLm9'], 'service_account in production'],
    ['a map in YAML', 'host: production\nuser: {name: ann, pass: Zq7kxLm9}', ['Zq7kxLm9'], 'ann'],
    ['and of such a file in JSON', JSON.stringify({ file: file('KEYS=["Zq7kxLm9"]') }), ['Zq7kxLm9'], 'KEYS'],
  ]);
});

describe('of names and values between `&`, each secret is hidden, as it is written and as a target reads it', () => {
  const sig = 'NZX%2FZH7GFSPgmb7j62GldqDEW%2BINoFKlAC4euoxM1Xc%3D';
  const signature = [sig, decodeURIComponent(sig)];
  const place = 'sr=https%3A%2F%2Facme.servicebus.windows.net%2Fq';
  const query = `${place}&sig=${sig}&se=1799999999&skn=send`;
  const told = 'send to https://acme.servicebus.windows.net/q until 1799999999';
  holds([
    ['a signature of Azure', `SharedAccessSignature ${query}`, signature, told],
    ['its names and values alone', `sv=2024-08-04&${query}`, signature, told],
    ['as the portal shows it', `?sv=2024-08-04&sp=rl&${query}`, signature, told],
    ['in base64', base64(query), signature, told],
    ['in JSON', JSON.stringify({ sas: query }), signature, told],
    [
      'in a setting',
      `BlobEndpoint=https://a.example;SharedAccessSignature=sv=1&sig=${sig}`,
      signature,
      'a.example',
    ],
    [
      'two of a webhook',
      'key=AIzaZq7kxLm9&token=Yq7kxLm9%3D',
      ['AIzaZq7kxLm9', 'Yq7kxLm9%3D', 'Yq7kxLm9='],
      'token',
    ],
    [
      'what a client sends for a token',
      'grant_type=client_credentials&client_secret=Zq7k+kxLm%219&scope=invoices',
      ['Zq7k+kxLm%219', 'Zq7k kxLm!9'],
      'the scope invoices',
    ],
    [
      'a password in an escaped address',
      'url=https%3A%2F%2Fann%3AZq7kxLm9%40h&a=b',
      ['https://ann:Zq7kxLm9@h'],
      'https',
    ],
  ]);
});

describe('of a list that is escaped in an address, each secret is hidden', () => {
  const odbc = 'DRIVER={ODBC Driver 17};SERVER=erp;UID=finance;PWD={Zq7;kxLm9}';
  const hidden = ['Zq7;kxLm9', '{Zq7;kxLm9}'];
  const inAddress = (form: string): string => `mssql+pyodbc:///?odbc_connect=${form}`;
  const form = new URLSearchParams([['', odbc]]).toString().slice(1);
  holds([
    ['by `quote_plus`', inAddress(form), hidden, 'finance at erp'],
    ['by `quote`', inAddress(encodeURIComponent(odbc)), hidden, 'finance at erp'],
    ['in a file of variables', `DB_HOST=erp\nDB_URL=${inAddress(form)}`, hidden, 'finance at erp'],
    [
      'in JSON',
      `https://erp.example/?options=${encodeURIComponent('{"user":"finance","pin":"Zq7kxLm9"}')}`,
      ['Zq7kxLm9'],
      'finance',
    ],
  ]);
});

describe('in a file of credentials the words that every such file has are told', () => {
  const aws =
    '[default]\naws_access_key_id = AKIAZq7kxLm9\naws_secret_access_key = Zq7k/kxLm9Zq7kxLm9+x\nregion = eu-central-1\n';
  const netrc = 'machine api.example.com\n  login finance\n  password Zq7kxLm9\n';
  const words = 'aws_access_key_id of default in eu-central-1';
  holds([
    ['of AWS', aws, ['AKIAZq7kxLm9', 'Zq7k/kxLm9Zq7kxLm9+x'], words],
    [
      'of AWS, with a profile',
      `${aws}[prod]\r\nsource_profile = default\naws_session_token=Yq7kxLm9==`,
      ['Yq7kxLm9=='],
      words,
    ],
    [
      'of a service, in YAML',
      'api_key: Zq7kxLm9\nregion: eu-central-1\n',
      ['Zq7kxLm9'],
      'the api_key for eu-central-1',
    ],
    ['a netrc', netrc, ['Zq7kxLm9'], 'the password of finance at api.example.com'],
    [
      'a netrc in one line',
      netrc.replace(/\s+/g, ' '),
      ['Zq7kxLm9'],
      'the password of finance at api.example.com',
    ],
    [
      'a netrc of two',
      `${netrc}default login anonymous account Yq7kxLm9`,
      ['Zq7kxLm9', 'Yq7kxLm9'],
      'login anonymous',
    ],
    [
      'and of what is none, each word',
      'machine api.example.com secretly Zq7kxLm9',
      ['Zq7kxLm9', 'secretly'],
      'says',
    ],
    ['nor of a header', 'session=Zq7kxLm9; region=eu-central-1', ['Zq7kxLm9', 'eu-central-1'], 'region'],
  ]);
});

describe('a secret is hidden in place where a program has quoted it', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['in a shell', "it's-Zq7kxLm9", "it'\\''s-Zq7kxLm9"],
    ['in a shell, by Python', "it's-Zq7kxLm9", `it'"'"'s-Zq7kxLm9`],
    ['in SQL', "it's-Zq7kxLm9", "it''s-Zq7kxLm9"],
    ['in CSV', 'it"s-Zq7kxLm9', 'it""s-Zq7kxLm9'],
    ['in a setting of ODBC', 'Zq7}kxLm9', 'Zq7}}kxLm9'],
    ['for Compose', 'Zq7$kxLm9', 'Zq7$$kxLm9'],
    ['for INI', 'Zq7%kxLm9', 'Zq7%%kxLm9'],
    ['in a page, with blanks that do not break', 'ab cd efg', 'ab\u00a0cd\u00a0efg'],
  ];
  for (const [how, secret, written] of cases)
    test(how, () => assert.equal(makeMask([secret]).text(`say ${written}.`), 'say [redacted].'));

  test('in a page, with entities for the blanks', () =>
    assert.equal(makeMask(['ab cd efg']).text('say ab&nbsp;cd&nbsp;efg'), '[redacted]'));
});
