/** 60000 reads as 60,000; a year, and what has an exponent, stays as it is. */
export function grouped(value: number): string {
  const [whole = '', fraction] = String(value).split('.');
  if (!/^-?\d{5,}$/.test(whole)) return String(value);
  const parts = whole.replaceAll(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? parts : `${parts}.${fraction}`;
}
