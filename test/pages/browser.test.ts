import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import chromium from '@sparticuz/chromium';
import { chromium as playwright, type Browser } from 'playwright-core';
import { startApi, type Harness } from '../api/harness.js';

describe('in a real browser', () => {
  let api: Harness;
  let browser: Browser;
  before(async () => {
    [api, browser] = await Promise.all([
      startApi(),
      chromium
        .executablePath()
        .then((executablePath) =>
          playwright.launch({ executablePath, args: ['--no-sandbox'], headless: true }),
        ),
    ]);
  });
  after(async () => {
    await browser.close();
    await api.stop();
  });

  async function park(): Promise<{ id: string; digest: string }> {
    const started = await api.ask('agent', 'POST', '/v1/flows/pay/runs', {});
    const path = `/v1/runs/${started.body.run.id}/transitions/bank.pay`;
    const asked = await api.ask('agent', 'POST', path, {
      arguments: { amount: 150, currency: '<script>alert(1)</script>' },
    });
    return asked.body.result.approval;
  }

  it('a person signs in, sees the exact action, gives a reason and denies it', async () => {
    const { id, digest } = await park();
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('dialog', (dialog) => void dialog.dismiss().then(() => errors.push('a dialog')));
    await page.goto(`${api.url}/approvals/${id}`);
    await page.fill('input[name=credential]', api.keys['finance'] ?? '');
    await page.click('text=Sign in >> nth=-1');
    await page.waitForURL(`**/approvals/${id}`);
    const text = (await page.textContent('body')) ?? '';
    assert.ok(text.includes(digest) && text.includes('"amount": 150') && text.includes('<script>'), text);
    await page.fill('textarea[name=reason]', 'not this month');
    await page.click('button[value=deny]');
    assert.match((await page.textContent('h1')) ?? '', /You have denied this/);
    const found = await api.ask('finance', 'GET', `/v1/approvals/${id}`);
    assert.equal(found.body.status, 'denied');
    assert.equal(found.body.decisions[0].reason, 'not this month');
    await page.goto(`${api.url}/approvals/${id}`);
    assert.equal(await page.locator('button[value=approve]').count(), 0, 'nothing is left to decide');
    assert.deepEqual(errors, []);
    await page.close();
  });

  it('a link shows, and decides at a click once its box is ticked', async () => {
    const { id } = await park();
    const made = await api.ask('finance', 'POST', `/v1/approvals/${id}/links`, {});
    const page = await browser.newPage();
    await page.goto(`${api.url}${made.body.path}`);
    await page.click('button[value=approve]');
    assert.equal(await page.locator('input[name=mine]:invalid').count(), 1, 'the browser asks for the tick');
    await page.click('text=I have read what would run');
    await page.fill('textarea[name=reason]', 'not ours');
    await page.press('input[name=mine]', 'Enter');
    await page.waitForSelector('text=Nothing was decided: choose Approve or Deny.');
    assert.equal((await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body.status, 'open');
    assert.equal(await page.inputValue('textarea[name=reason]'), 'not ours');
    await page.click('text=I have read what would run');
    await page.click('button[value=approve]');
    assert.match((await page.textContent('h1')) ?? '', /You have approved this/);
    await api.kernel.settled();
    assert.equal((await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body.status, 'consumed');
    await page.close();
  });
});
