/** Is the number a multiple, both taken as they are written in decimals? 19.99 is a multiple of 0.01, though the nearest doubles are not. */
export function isMultiple(value: number, of: number): boolean {
  const [a, b] = [decimal(value), decimal(of)];
  const exponent = Math.min(a.exponent, b.exponent);
  const [x, y] = [scale(a, exponent), scale(b, exponent)];
  if (Number.isSafeInteger(x) && Number.isSafeInteger(y)) return x % y === 0;
  return scaleExactly(a, exponent) % scaleExactly(b, exponent) === 0n;
}

/** digits · 10^exponent */
interface Decimal {
  readonly digits: string;
  readonly exponent: number;
}

function decimal(value: number): Decimal {
  const text = String(value);
  const power = text.indexOf('e');
  const mantissa = power < 0 ? text : text.slice(0, power);
  const exponent = power < 0 ? 0 : Number(text.slice(power + 1));
  const point = mantissa.indexOf('.');
  if (point < 0) return { digits: mantissa, exponent };
  const digits = mantissa.slice(0, point) + mantissa.slice(point + 1);
  return { digits, exponent: exponent - (mantissa.length - point - 1) };
}

const powers = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/** The number in units of 10^`to`; exact where the result is a safe integer. */
function scale({ digits, exponent }: Decimal, to: number): number {
  return Number(digits) * (powers[exponent - to] ?? Infinity);
}

function scaleExactly({ digits, exponent }: Decimal, to: number): bigint {
  return BigInt(digits) * 10n ** BigInt(exponent - to);
}
