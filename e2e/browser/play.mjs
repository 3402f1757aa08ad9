// Plays one URL in a headless Chromium and prints what happens, one JSON object
// a line, four times a second, so that a test can act while it plays.
//
//   node play.mjs --page URL --kind hls|flv|flvjs|ws|ts --url URL --profile DIR --seconds N [--chromium PATH]
//
// It ends after N seconds, on SIGTERM, or when its stdin is closed.

import {parseArgs} from 'node:util';
import puppeteer from 'puppeteer-core';

const SAMPLE_EVERY_MS = 250;

const {values: options} = parseArgs({
  options: {
    page: {type: 'string'},
    kind: {type: 'string'},
    url: {type: 'string'},
    profile: {type: 'string'},
    seconds: {type: 'string'},
    chromium: {type: 'string', default: '/usr/bin/chromium'},
  },
});

function print(object) {
  process.stdout.write(JSON.stringify(object) + '\n');
}

// stopped resolves when the caller wants no more samples.
const stopped = new Promise((resolve) => {
  process.on('SIGTERM', resolve);
  process.stdin.on('end', resolve).on('error', resolve).resume();
  setTimeout(resolve, Number(options.seconds) * 1000);
});

async function play(browser) {
  const page = await browser.newPage();
  page.on('pageerror', (err) => print({event: 'pageerror', text: String(err.message)}));
  page.on('console', (message) => {
    if (message.type() === 'error') print({event: 'console', text: message.text()});
  });
  const address = new URL(options.page);
  address.search = new URLSearchParams({kind: options.kind, url: options.url});
  await page.goto(address.href, {waitUntil: 'load'});

  let running = true;
  stopped.then(() => { running = false; });
  while (running) {
    print({event: 'sample', ...await page.evaluate(() => window.sample())});
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, SAMPLE_EVERY_MS))]);
  }
}

const browser = await puppeteer.launch({
  executablePath: options.chromium,
  userDataDir: options.profile,
  pipe: true, // Chromium ends with this process, however it ends
  args: [
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-dev-shm-usage',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
  ],
});
try {
  await play(browser);
} finally {
  await browser.close();
}
process.exit(0);
