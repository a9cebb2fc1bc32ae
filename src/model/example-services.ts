/** The programs of `examples/` that `npm start` starts beside the shipped policies, whose connections name them so. */
export const exampleServices = ['payroll', 'erp'] as const;

export function addressVariable(service: (typeof exampleServices)[number]): string {
  return `${service.toUpperCase()}_URL`;
}
