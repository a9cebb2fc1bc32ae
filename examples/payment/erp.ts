// An ERP: invoices and vendors to read, payments to draft and to release.
import { z } from 'zod';
import { dataFile, refuse, startService, type Route } from '../service.js';

const draft = z.object({ vendor: z.string().min(1), amount: z.number().positive() });
const release = z.object({ id: z.string().min(1) });

interface Payment {
  readonly id: string;
  readonly vendor: string;
  readonly amount: number;
  status: 'draft' | 'released';
}

const vendors = [
  { id: 'V-100', name: 'ACME GmbH', iban: 'DE02120300000000202051' },
  { id: 'V-200', name: 'Northwind Oy', iban: 'FI2112345600000785' },
];

const invoices = [
  { id: 'INV-2041', vendor: 'ACME GmbH', amount: 60_000, currency: 'EUR', status: 'open' },
  { id: 'INV-2042', vendor: 'Northwind Oy', amount: 10_000, currency: 'EUR', status: 'open' },
];

const routes: readonly Route<Payment>[] = [
  { method: 'GET', path: '/invoices', handle: () => ({ status: 200, body: { invoices } }) },
  { method: 'GET', path: '/vendors', handle: () => ({ status: 200, body: { vendors } }) },
  { method: 'GET', path: '/payments', handle: (book) => ({ status: 200, body: { payments: book.items } }) },
  {
    method: 'POST',
    path: '/payments/draft',
    handle(book, body) {
      const asked = draft.safeParse(body);
      if (!asked.success) return refuse(422, 'a draft has a vendor and an amount over 0');
      const payment: Payment = { id: `pmt_${book.items.length + 1}`, ...asked.data, status: 'draft' };
      book.items.push(payment);
      return { status: 201, body: { ...payment } };
    },
  },
  {
    method: 'POST',
    path: '/payments/release',
    handle(book, body) {
      const asked = release.safeParse(body);
      if (!asked.success) return refuse(422, 'a release names the id of a payment');
      const payment = book.items.find((one) => one.id === asked.data.id);
      if (payment === undefined) return refuse(404, `no payment ${asked.data.id}`);
      payment.status = 'released';
      return { status: 200, body: { ...payment } };
    },
  },
];

await startService({ name: 'erp', routes, file: dataFile('erp') });
