import { fullFormats } from 'ajv-formats/dist/formats.js';
import type { Format } from 'ajv';
import { spend } from '../work.js';

// The formats of ajv-formats, each with a greatest length: some of their regular expressions take quadratic time.

/** Characters: a longer text does not fit the format. The expression for `url` is quadratic. */
const longest: Readonly<Record<string, number>> = {
  date: 10,
  time: 64,
  'date-time': 100,
  'iso-time': 64,
  'iso-date-time': 100,
  duration: 100,
  uri: 8_192,
  'uri-reference': 8_192,
  'uri-template': 8_192,
  url: 1_024,
  email: 320,
  hostname: 254,
  ipv4: 15,
  ipv6: 45,
  uuid: 45,
  'json-pointer': 8_192,
  'json-pointer-uri-fragment': 8_192,
  'relative-json-pointer': 8_192,
};

/** Base64. The check of ajv-formats accepts every text that has one line of Base64. */
function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

function isPattern(text: string): boolean {
  if (text.length > 4_000) return false;
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
}

const own: Readonly<Record<string, (text: string) => boolean>> = { byte: isBase64, regex: isPattern };

/** Integer formats of OpenAPI, and of schemas that Rust programs generate, besides `int32` and `int64`. */
const integers: Readonly<Record<string, Format>> = {
  int: integerFormat(-Infinity, Infinity),
  int8: integerFormat(-(2 ** 7), 2 ** 7 - 1),
  int16: integerFormat(-(2 ** 15), 2 ** 15 - 1),
  uint: integerFormat(0, Infinity),
  uint8: integerFormat(0, 2 ** 8 - 1),
  uint16: integerFormat(0, 2 ** 16 - 1),
  uint32: integerFormat(0, 2 ** 32 - 1),
  uint64: integerFormat(0, Infinity),
};

function integerFormat(least: number, most: number): Format {
  return {
    type: 'number',
    validate: (value: number) => Number.isInteger(value) && value >= least && value <= most,
  };
}

export const formats: Readonly<Record<string, Format>> = {
  ...Object.fromEntries(
    Object.entries(fullFormats).map(([name, format]) => [name, boundLength(name, format as Format)]),
  ),
  ...integers,
};

function boundLength(name: string, format: Format): Format {
  const check = own[name] ?? checkOf(format);
  if (check === null) return format;
  const most = longest[name] ?? Infinity;
  return (text: string) => {
    if (text.length > most) return false;
    spend(name === 'url' ? 1 + text.length ** 2 / 16 : 1 + text.length / 4);
    return check(text);
  };
}

/** The check of a format of texts; null: the format is of numbers, or takes any text. */
function checkOf(format: Format): ((text: string) => boolean) | null {
  if (format instanceof RegExp) return (text) => format.test(text);
  if (typeof format === 'function') return (text) => format(text) === true;
  const given = typeof format === 'object' && 'validate' in format ? format : null;
  if (given === null || given.type === 'number') return null;
  const { validate } = given;
  if (validate instanceof RegExp) return (text) => validate.test(text);
  return typeof validate === 'function' ? (text) => validate(text as never) === true : null;
}
