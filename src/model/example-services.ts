/** The programs of `examples/` that `npm start` starts, by the names that the shipped policies' connections give them. */
export const exampleServices = ['payroll', 'erp'] as const;

export function addressVariable(service: (typeof exampleServices)[number]): string {
  return `${service.toUpperCase()}_URL`;
}
