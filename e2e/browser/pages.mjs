// Drives the console or the watch page in a headless Chromium, one step a line: JSON commands come on stdin, and
// each is answered with one line of JSON.
//
//   {"do": "open", "url": "…", "width": 1280, "height": 800, "dark": false, "phone": false}
//   {"do": "wait", "js": "expression", "ms": 30000}   waits until the expression is true
//   {"do": "eval", "js": "expression"}                answers its value
//   {"do": "click", "selector": "…"}, {"do": "press", "key": "Enter"}, {"do": "type", "text": "…"}
//   {"do": "shot", "file": "…"}                       a screenshot
//   {"do": "complaints"}                              errors that pages had, violations of their policy included
//
//   node pages.mjs --profile DIR

import {createInterface} from 'node:readline';
import {parseArgs} from 'node:util';
import puppeteer from 'puppeteer-core';

const {values: options} = parseArgs({options: {profile: {type: 'string'}, chromium: {type: 'string', default: '/usr/bin/chromium'}}});

const browser = await puppeteer.launch({
  executablePath: options.chromium,
  userDataDir: options.profile,
  acceptInsecureCerts: true, // those of tests are self-signed
  pipe: true, // Chromium ends with this process, however it ends
  args: [
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-dev-shm-usage',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
    '--host-resolver-rules=MAP elsewhere.test 127.0.0.1', // a site that is not this machine's, for all a browser knows
  ],
});

const complaints = [];
let page;

const steps = {
  async open({url, dark = false, phone = false, width = phone ? 390 : 1280, height = phone ? 844 : 800}) {
    if (page) await page.close();
    page = await browser.newPage();
    page.on('pageerror', (err) => complaints.push(`page: ${err.message}`));
    page.on('console', (message) => { if (message.type() === 'error') complaints.push(`console: ${message.text()}`); });
    await page.setViewport({width, height, deviceScaleFactor: phone ? 2 : 1, isMobile: phone, hasTouch: phone});
    await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: dark ? 'dark' : 'light'}]);
    await page.goto(url, {waitUntil: 'load'});
  },
  async wait({js, ms = 30000}) { await page.waitForFunction(js, {timeout: ms, polling: 100}); },
  async eval({js}) { return page.evaluate(js); },
  async click({selector}) { await page.click(selector); },
  async press({key}) { await page.keyboard.press(key); },
  async type({text}) { await page.keyboard.type(text); },
  async shot({file, full = false}) { await page.screenshot({path: file, fullPage: full}); },
  async complaints() { return complaints; },
};

for await (const line of createInterface({input: process.stdin})) {
  const step = JSON.parse(line);
  let answer;
  try {
    answer = {value: (await steps[step.do](step)) ?? null};
  } catch (err) {
    answer = {error: `${step.do} ${step.js ?? step.selector ?? step.url ?? ''}: ${err.message}`};
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
process.exit(0);
