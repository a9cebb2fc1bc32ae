/** 60000 reads as 60,000; a year, and what has an exponent, stays as it is. */
export function grouped(value: number): string {
  return String(value).replace(/^-?\d{5,}(?=\.\d+$|$)/, (whole) => whole.replaceAll(/\B(?=(\d{3})+$)/g, ','));
}
