// A payroll service: it pays a reimbursement once per Idempotency-Key, whatever is retried and whoever restarts.
import { z } from 'zod';
import { dataFile, refuse, startService, type Route } from '../service.js';

const reimbursement = z.object({ employee: z.string().min(1), amount: z.number().nonnegative() });

interface Payment {
  readonly id: string;
  readonly employee: string;
  readonly amount: number;
  readonly status: 'paid';
}

const routes: readonly Route<Payment>[] = [
  {
    method: 'POST',
    path: '/reimbursements',
    handle(book, body) {
      const asked = reimbursement.safeParse(body);
      if (!asked.success) return refuse(422, 'a reimbursement has an employee and an amount');
      const payment: Payment = { id: `pay_${book.items.length + 1}`, ...asked.data, status: 'paid' };
      book.items.push(payment);
      return { status: 201, body: payment };
    },
  },
  {
    method: 'GET',
    path: '/reimbursements',
    handle: (book) => ({ status: 200, body: { reimbursements: book.items } }),
  },
];

await startService({ name: 'payroll', routes, file: dataFile('payroll') });
