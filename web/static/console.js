// The console: it asks the API every two seconds, hears events as they happen, and shows who needs somebody first.

import {all, api, authorisation, follow} from './api.js';
import {drawDetail} from './detail.js';
import {$, el, POINTS, put, redraw} from './dom.js';
import {LivePlayer} from './player.js';
import {bitrate, bits, byNeed, count, EVENT_WORDS, span, tracks, troubles, viewers, warnings} from './words.js';

const POLL_MS = 2000;
const MAX_EVENTS = 40;
const MANY_STREAMS = 8; // from so many on they can be searched

const state = {streams: [], history: new Map(), chosen: '', player: null, playing: '', wanted: '', refusals: null};

const chosen = () => state.streams.find((s) => s.name === state.chosen);

// --- drawing ---

function drawTotals() {
  const live = state.streams.filter((s) => s.state === 'live');
  const troubled = live.reduce((n, s) => n + warnings(s).length, 0);
  put('total-live', String(live.length));
  document.title = troubled ? `(${troubled}) Headwater` : 'Headwater';
  put('total-viewers', String(state.streams.reduce((n, s) => n + viewers(s), 0)));
  put('total-in', bits(live.reduce((n, s) => n + bitrate(s), 0)));
  put('total-warnings', String(troubled));
  $('total-warnings').classList.toggle('warn', troubled > 0);
}

// drawTroubles says what is wrong with the server itself.
function drawTroubles() {
  const list = troubles(state.server);
  redraw('troubles', list, () => list.map((text) => el('li', '', text)));
  $('troubles').hidden = !list.length;
}

// drawRefusals says who was refused while the page was open, for an encoder that cannot connect is on no list.
function drawRefusals() {
  const before = state.refusals ??= state.server.refusals;
  const grown = Object.entries(state.server.refusals).map(([reason, n]) => [reason, n - (before[reason] ?? 0)]).filter(([, n]) => n > 0);
  grown.sort((a, b) => b[1] - a[1]);
  redraw('refusals', grown, () => grown.flatMap(([reason, n]) => [el('dt', '', reason.replaceAll('-', ' ')), el('dd', '', String(n))]));
  $('refused').hidden = !grown.length;
}

// drawList keeps the buttons of streams that stay, so that the focus does too.
function drawList() {
  const list = $('stream-list');
  const focused = document.activeElement;
  const known = new Map([...list.children].map((li) => [li.dataset.name, li]));
  const shown = state.streams.filter((s) => s.name.includes(state.wanted));
  shown.forEach((s, i) => {
    let li = known.get(s.name);
    known.delete(s.name);
    if (!li) {
      li = el('li');
      li.dataset.name = s.name;
      const button = el('button', 'stream');
      button.type = 'button';
      for (const part of ['who', 'rate', 'what', 'watching', 'warnings']) button.append(el('span', part));
      button.addEventListener('click', () => choose(s.name, true));
      li.append(button);
    }
    if (list.children[i] !== li) list.insertBefore(li, list.children[i] ?? null);
    const button = li.firstChild;
    button.classList.toggle('live', s.state === 'live');
    button.classList.toggle('troubled', warnings(s).length > 0);
    button.setAttribute('aria-current', String(s.name === state.chosen));
    const [who, rate, what, watching, warned] = button.children;
    const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };
    set(who, s.name);
    set(rate, s.state === 'live' ? bits(bitrate(s)) : 'idle');
    set(what, tracks(s).split(' · ').slice(0, 3).join(' · ') || 'waiting for media');
    set(watching, count(viewers(s), 'viewer', 'viewers'));
    const n = warnings(s).length;
    set(warned, n ? count(n, 'thing to look at', 'things to look at') : '');
    warned.hidden = !n;
  });
  for (const li of known.values()) li.remove();
  // What moves loses the focus.
  if (focused !== document.activeElement && list.contains(focused)) focused.focus({preventScroll: true});
  $('empty').hidden = state.streams.length > 0;
  $('search').hidden = state.streams.length < MANY_STREAMS && !state.wanted && document.activeElement !== $('wanted');
  $('none').hidden = shown.length > 0 || !state.streams.length;
}

function draw() {
  drawTotals();
  drawTroubles();
  drawRefusals();
  drawList();
  drawChosen();
}

function drawChosen() {
  drawDetail(chosen(), state.history.get(state.chosen) ?? {rate: [], viewers: []});
}

function addEvent(event) {
  const words = EVENT_WORDS[event.type];
  if (!words || event.data?.code === 'encoder') return;
  const li = el('li');
  const time = el('time', '', new Date(event.time).toLocaleTimeString([], {hour12: false}));
  time.dateTime = event.time;
  const text = el('span');
  if (event.stream) text.append(el('b', '', event.stream), ' ');
  text.append(words(event.data ?? {}));
  li.append(time, text);
  const list = $('events');
  list.prepend(li);
  while (list.children.length > MAX_EVENTS) list.lastChild.remove();
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
  const response = await api(`streams/${state.chosen}`);
  if (!response.ok) return;
  const one = await response.json();
  const at = state.streams.findIndex((s) => s.name === one.name);
  if (at >= 0) state.streams[at] = one;
}

function preview() {
  const s = chosen();
  const wanted = s?.state === 'live' ? `${s.name}@${s.generation}` : '';
  if (wanted === state.playing) return;
  state.playing = wanted;
  state.player?.close();
  state.player = null;
  if (!wanted) {
    $('video').controls = false;
    put('video-note', s ? 'Nobody publishes now.' : '');
    return;
  }
  play(s, wanted);
}

// play opens the preview, through this listener: it needs no token of the stream's, and no way to the public one.
async function play(s, wanted) {
  const has = (protocol) => s.outputs.some((o) => o.protocol === protocol);
  const sources = {flv: has('flv') && `preview/${s.name}.flv`, hls: has('hls') && `preview/${s.name}/index.m3u8`};
  if (!sources.flv && !sources.hls) {
    put('video-note', 'No output that a browser plays is switched on.');
    return;
  }
  const headers = authorisation();
  put('video-note', 'Opening the preview…');
  const {status} = await fetch(sources.flv || sources.hls, {method: 'HEAD', headers}).catch(() => ({}));
  if (state.playing !== wanted) return;
  if (status === 403) {
    put('video-note', 'Watching this stream needs a token. With a setting admin.token the console may show it.');
    return;
  }
  state.player = new LivePlayer($('video'), sources, (what) => {
    $('video').controls = what === 'playing';
    put('video-note', {loading: 'Opening the preview…', playing: '', waiting: 'No picture yet; trying again.'}[what]);
  }, headers);
}

function choose(name, byHand) {
  state.chosen = name;
  history.replaceState(null, '', name ? `#${name}` : '#');
  drawList();
  drawChosen();
  preview();
  if (byHand && name) $('name').focus({preventScroll: innerWidth > 860});
  poll(false);
}

async function end() {
  const s = chosen();
  if (!s) return;
  const {name, generation} = s;
  put('confirm-name', name);
  const dialog = $('confirm');
  dialog.returnValue = 'no';
  dialog.addEventListener('close', async () => {
    if (dialog.returnValue !== 'yes') return;
    await api(`publications/${name}/${generation}`, {method: 'DELETE'});
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
$('wanted').addEventListener('input', () => { state.wanted = $('wanted').value.trim(); drawList(); });
$('end').addEventListener('click', end);
$('back').addEventListener('click', back);
addEventListener('hashchange', () => choose(decodeURIComponent(location.hash.slice(1))));
state.chosen = decodeURIComponent(location.hash.slice(1));
await poll();
if (!state.chosen && innerWidth > 860 && state.streams.length) choose(state.streams[0].name);
setInterval(poll, POLL_MS);
follow(Object.keys(EVENT_WORDS).filter((t) => t !== 'events.missed').join(','), addEvent, () => poll(false));
