// The console: it asks the API every two seconds, hears events as they happen, and shows who needs somebody first.

import {all, api, follow} from './api.js';
import {drawDetail} from './detail.js';
import {$, POINTS, put} from './dom.js';
import {addEvent, drawList, drawRefusals, drawTotals, drawTroubles} from './overview.js';
import {preview} from './preview.js';
import {chosen, state} from './state.js';
import {bitrate, byNeed, EVENT_WORDS, span, viewers} from './words.js';

const POLL_MS = 2000;

// --- drawing ---

function draw() {
  drawTotals();
  drawTroubles();
  drawRefusals();
  drawList(pick);
  drawChosen();
}

function drawChosen() {
  drawDetail(chosen(), state.history.get(state.chosen) ?? {rate: [], viewers: []});
}

// --- what changes ---

function remember() {
  const names = new Set(state.streams.map((s) => s.name));
  for (const name of state.history.keys()) if (!names.has(name)) state.history.delete(name);
  for (const s of state.streams) {
    const past = state.history.get(s.name) ?? {rate: [], viewers: []};
    past.rate.push(bitrate(s));
    past.viewers.push(viewers(s));
    for (const list of Object.values(past)) if (list.length > POINTS) list.shift();
    state.history.set(s.name, past);
  }
}

let polling = false;
async function poll(count = true) {
  if (polling) return;
  polling = true;
  try {
    const [streams, server] = await Promise.all([all('streams', 'streams'), api('server')]);
    state.streams = streams.sort(byNeed);
    state.server = await server.json();
    if (state.chosen) await pollChosen();
    if (count) remember();
    put('link', 'connected');
    $('link').className = 'link on';
    put('server', `${state.server.version} · up ${span(state.server.uptime_seconds)}`);
    put('publish-url', `${state.server.addresses.publish}/live/test`);
    draw();
    preview();
  } catch (err) {
    put('link', err.problem ?? 'no connection to the server: what you see is old');
    $('link').className = 'link off';
  } finally {
    document.body.classList.toggle('stale', $('link').className.endsWith('off'));
    polling = false;
  }
}

// pollChosen asks for the segments of the chosen stream, which the list does not have.
async function pollChosen() {
  const response = await api(`streams/${state.chosen.split('/').map(encodeURIComponent).join('/')}`);
  if (!response.ok) return;
  const one = await response.json();
  const at = state.streams.findIndex((s) => s.name === one.name);
  if (at >= 0) state.streams[at] = one;
}

function choose(name, byHand) {
  state.chosen = name;
  history.replaceState(null, '', name ? `#${name}` : '#');
  drawList(pick);
  drawChosen();
  preview();
  if (byHand && name) $('name').focus({preventScroll: innerWidth > 860});
  poll(false);
}

const pick = (name) => choose(name, true);

async function end() {
  const s = chosen();
  if (!s) return;
  const {name, generation} = s;
  put('confirm-name', name);
  const dialog = $('confirm');
  dialog.returnValue = 'no';
  dialog.addEventListener('close', async () => {
    if (dialog.returnValue !== 'yes') return;
    try {
      const response = await api(`publications/${name}/${generation}`, {method: 'DELETE'});
      if (!response.ok) put('video-note', `Not ended: ${(await response.json()).detail}.`);
    } catch {
      put('video-note', 'Not ended: the server did not answer. Try again.');
    }
    poll(false);
  }, {once: true});
  dialog.showModal();
}

function back() {
  const name = state.chosen;
  choose('');
  document.querySelector(`[data-name="${CSS.escape(name)}"] button`)?.focus();
}

// step goes to the next stream of the list, or the one before.
function step(by) {
  const buttons = [...document.querySelectorAll('#stream-list button')];
  if (!buttons.length) return;
  const at = buttons.findIndex((b) => b === document.activeElement || b.parentNode.dataset.name === state.chosen);
  const next = buttons[Math.min(Math.max(at + by, 0), buttons.length - 1)];
  choose(next.parentNode.dataset.name);
  next.focus();
}

const KEYS = {
  '/': () => { $('search').hidden = false; $('wanted').focus(); },
  j: () => step(1),
  k: () => step(-1),
  Escape: () => { if (state.chosen) back(); },
};

addEventListener('keydown', (event) => {
  const typing = event.target.matches('input');
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]') || !KEYS[event.key]) return;
  if (typing && event.key !== 'Escape') return;
  event.preventDefault();
  if (typing) event.target.blur();
  else KEYS[event.key]();
});
$('wanted').addEventListener('input', () => { state.wanted = $('wanted').value.trim(); drawList(pick); });
$('end').addEventListener('click', end);
$('back').addEventListener('click', back);
// named is the stream that the address names; it may be anything.
function named() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}
addEventListener('hashchange', () => choose(named()));
state.chosen = named();
await poll();
if (!state.chosen && innerWidth > 860 && state.streams.length) choose(state.streams[0].name);
setInterval(poll, POLL_MS);
follow(Object.keys(EVENT_WORDS).filter((t) => t !== 'events.missed').join(','), addEvent, () => poll(false));
