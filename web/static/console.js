// The console: it asks the API every two seconds, hears events as they happen, and writes what they say with
// textContent alone: names come from publishers.
import {LivePlayer} from './player.js';

const POLL_MS = 2000;
const HISTORY = 150; // five minutes
const MAX_EVENTS = 40;

const $ = (id) => document.getElementById(id);
const state = {streams: [], history: new Map(), chosen: '', player: null, playing: '', token: sessionStorage.getItem('token') ?? ''};

// el makes an element with text, and nothing else, in it.
function el(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const put = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

// --- the API ---

async function api(path, options = {}) {
  const headers = {Accept: 'application/json', ...options.headers};
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  const response = await fetch(`api/v1/${path}`, {...options, headers});
  if (response.status === 401) {
    await askForToken();
    return api(path, options);
  }
  return response;
}

let asking = null;
function askForToken() {
  asking ??= new Promise((resolve) => {
    const dialog = $('login');
    dialog.addEventListener('close', () => {
      state.token = $('token').value;
      sessionStorage.setItem('token', state.token);
      asking = null;
      resolve();
    }, {once: true});
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    dialog.showModal();
  });
  return asking;
}

// --- words ---

function bits(n) {
  if (n >= 1e9) return `${(n / 1e9).toFixed(2)} Gbit/s`;
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)} Mbit/s`;
  return `${Math.round(n / 1e3)} kbit/s`;
}

function bytes(n) {
  for (const [unit, size] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]]) if (n >= size) return `${(n / size).toFixed(1)} ${unit}`;
  return `${n} B`;
}

function span(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;

function tracks(s) {
  const parts = [];
  if (s.video?.width) parts.push(`${s.video.width}×${s.video.height}`);
  if (s.video?.frame_rate) parts.push(`${Math.round(s.video.frame_rate * 10) / 10} fps`);
  if (s.video) parts.push(s.video.codec);
  if (s.video?.gop_seconds) parts.push(`keyframe every ${s.video.gop_seconds.toFixed(1)} s`);
  if (s.audio) parts.push(s.audio.sample_rate ? `${s.audio.codec} ${s.audio.sample_rate / 1000} kHz` : s.audio.codec);
  return parts.join(' · ');
}

const viewers = (s) => Object.values(s.viewers_by_protocol).reduce((a, b) => a + b, 0);
const bitrate = (s) => (s.state === 'live' ? s.publication.bitrate : 0);
const findings = (s) => s.publication?.findings ?? [];
const warnings = (s) => (s.state === 'live' ? findings(s).filter((f) => f.active && f.severity === 'warning') : []);

const EVENT_WORDS = {
  'server.started': () => 'the server started',
  'publish.started': (d) => `publishing from ${d.remote}`,
  'publish.ended': (d) => `publication ended: ${d.reason.replaceAll('-', ' ')}`,
  'stream.live': () => 'is live',
  'stream.idle': () => 'waits for its publisher',
  'stream.ended': () => 'has ended',
  'finding.raised': (d) => d.measured,
  'finding.cleared': (d) => `no longer: ${d.code.replaceAll('-', ' ')}`,
  'events.missed': (d) => (d.events ? `${d.events} events were missed` : 'earlier events are not known'),
};

// --- drawing ---

function drawTotals() {
  const live = state.streams.filter((s) => s.state === 'live');
  const troubled = live.reduce((n, s) => n + warnings(s).length, 0);
  put('total-live', String(live.length));
  put('total-viewers', String(state.streams.reduce((n, s) => n + viewers(s), 0)));
  put('total-in', bits(live.reduce((n, s) => n + bitrate(s), 0)));
  put('total-warnings', String(troubled));
  $('total-warnings').classList.toggle('warn', troubled > 0);
}

// drawList keeps the buttons of streams that stay, so that the focus does too.
function drawList() {
  const list = $('stream-list');
  const known = new Map([...list.children].map((li) => [li.dataset.name, li]));
  state.streams.forEach((s, i) => {
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
  $('empty').hidden = state.streams.length > 0;
}

const SVG = 'http://www.w3.org/2000/svg';

function drawChart(id, values) {
  const svg = $(id);
  if (!svg.firstChild) for (const name of ['area', 'line']) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('class', name);
    svg.append(path);
  }
  const top = Math.max(...values, 1) * 1.15;
  const points = values.map((v, i) => `${(300 - (values.length - 1 - i) * 300 / (HISTORY - 1)).toFixed(1)},${(80 - v / top * 78).toFixed(1)}`);
  const first = points[0]?.split(',')[0] ?? 300;
  svg.children[0].setAttribute('d', points.length ? `M${first},80 L${points.join(' L')} L300,80 Z` : '');
  svg.children[1].setAttribute('d', points.length ? `M${points.join(' L')}` : '');
}

function drawDetail() {
  const s = state.streams.find((one) => one.name === state.chosen);
  $('detail').hidden = !s;
  document.body.classList.toggle('chosen', Boolean(s));
  if (!s) return;
  const live = s.state === 'live';
  put('name', s.name);
  put('state', live ? 'live' : 'waits for its publisher');
  $('state').classList.toggle('live', live);
  put('facts', tracks(s));
  const past = state.history.get(s.name) ?? {rate: [], viewers: []};
  put('bitrate-now', bits(bitrate(s)));
  put('viewers-now', Object.entries(s.viewers_by_protocol).filter(([, n]) => n).map(([p, n]) => `${n} ${p.toUpperCase()}`).join(' · ') || '0');
  drawChart('bitrate-chart', past.rate);
  drawChart('viewers-chart', past.viewers);
  drawFindings(s);
  drawAddresses(s);
  drawWindow(s.hls);
  drawPublication(s);
  $('end').disabled = !live;
}

// redraw replaces what is in a node if its source has changed.
function redraw(id, source, make) {
  const key = JSON.stringify(source);
  if ($(id).dataset.key === key) return;
  $(id).dataset.key = key;
  $(id).replaceChildren(...make());
}

function drawFindings(s) {
  const list = findings(s).filter((f) => f.code !== 'encoder').map((f) => [f.code, f.severity, f.active, f.measured, f.advice]);
  redraw('findings', list, () => {
    if (!list.some((f) => f[2] && f[1] === 'warning')) {
      const fine = el('li', 'fine', s.state === 'live' ? 'Nothing is wrong.' : 'Nobody publishes.');
      return [fine, ...list.map(finding)];
    }
    return list.map(finding);
  });
}

function finding([code, severity, active, measured, advice]) {
  const li = el('li', `${severity}${active ? '' : ' past'}`);
  const words = code.replaceAll('-', ' ').replace('gop', 'GOP');
  li.append(el('p', 'measured', `${words[0].toUpperCase()}${words.slice(1)}: ${measured}${active ? '' : ' (over)'}`), el('p', 'advice', advice));
  return li;
}

function drawAddresses(s) {
  const words = {watch: 'Page', hls: 'HLS', flv: 'FLV', ts: 'TS', rtmp: 'RTMP'};
  redraw('urls', s.outputs, () => s.outputs.map(({protocol, url}) => {
    const li = el('li');
    const button = el('button', '', 'Copy');
    button.type = 'button';
    button.setAttribute('aria-label', `Copy the ${words[protocol]} address`);
    button.addEventListener('click', () => copy(url, button));
    li.append(el('span', '', words[protocol]), el('code', '', url), button);
    return li;
  }));
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch { // no clipboard on an insecure origin: select it instead
    getSelection().selectAllChildren(button.previousSibling);
    button.textContent = 'Selected';
  }
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
}

function drawWindow(hls) {
  put('hls-facts', hls
    ? `${hls.window_seconds.toFixed(1)} s from sequence ${hls.media_sequence} · target duration ${hls.target_duration_seconds} s · changed ${span(Math.max(0, (Date.now() - Date.parse(hls.updated)) / 1000))} ago`
    : 'Nothing is listed yet.');
  const segments = hls?.segments ?? [];
  redraw('window', segments.map((g) => g.sequence), () => segments.map((g) => {
    const bar = el('i', g.discontinuity ? 'break' : '');
    bar.title = `${g.sequence}: ${g.seconds.toFixed(2)} s, ${bytes(g.bytes)}`;
    bar.style.flexGrow = g.seconds;
    return bar;
  }));
  $('window').setAttribute('aria-label', `${segments.length} segments`);
}

function drawPublication(s) {
  const p = s.publication;
  const rows = p ? [
    ['Publisher', `${p.remote} over ${p.protocol.toUpperCase()}`],
    ['Encoder', p.encoder || 'does not say'],
    [p.end_reason ? 'Lasted' : 'For', span(p.uptime_seconds) + (p.end_reason ? `, ended: ${p.end_reason.replaceAll('-', ' ')}` : '')],
    ['Received', `${bytes(p.counters.bytes)}, ${p.counters.video_frames} pictures, ${p.counters.audio_frames} audio frames`],
  ] : [];
  redraw('publication', rows, () => rows.flatMap(([name, value]) => [el('dt', '', name), el('dd', '', value)]));
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
    for (const list of Object.values(past)) if (list.length > HISTORY) list.shift();
    state.history.set(s.name, past);
  }
}

let polling = false;
async function poll(count = true) {
  if (polling) return;
  polling = true;
  try {
    const [list, server] = await Promise.all([api('streams'), api('server')]);
    state.streams = (await list.json()).streams;
    state.server = await server.json();
    if (state.chosen) await pollChosen();
    if (count) remember();
    put('link', 'connected');
    $('link').className = 'link on';
    put('server', `${state.server.version} · up ${span(state.server.uptime_seconds)}`);
    put('publish-url', `${state.server.addresses.publish}/live/test`);
    drawTotals();
    drawList();
    drawDetail();
    preview();
  } catch {
    put('link', 'no connection to the server');
    $('link').className = 'link off';
  } finally {
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
  const s = state.streams.find((one) => one.name === state.chosen);
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
  const headers = state.token ? {Authorization: `Bearer ${state.token}`} : {};
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
  drawDetail();
  preview();
  if (byHand && name) $('name').focus({preventScroll: innerWidth > 860});
  poll(false);
}

async function end() {
  const s = state.streams.find((one) => one.name === state.chosen);
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

// follow reads the event stream with fetch, which can show the token, and comes back when it breaks.
async function follow(last = '') {
  const kinds = Object.keys(EVENT_WORDS).filter((t) => t !== 'events.missed').join(',');
  try {
    const headers = {Accept: 'text/event-stream'};
    if (last) headers['Last-Event-ID'] = last;
    const response = await api(`events?types=${kinds}`, {headers});
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const {value, done} = await reader.read();
      if (done) break;
      text += value;
      const blocks = text.split('\n\n');
      text = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
        if (fields.id) last = fields.id;
        if (fields.data) addEvent(JSON.parse(fields.data));
      }
      poll(false);
    }
  } catch { /* the link's state says it */ }
  setTimeout(() => follow(last), POLL_MS);
}

$('end').addEventListener('click', end);
$('back').addEventListener('click', () => { const name = state.chosen; choose(''); document.querySelector(`[data-name="${CSS.escape(name)}"] button`)?.focus(); });
addEventListener('hashchange', () => choose(decodeURIComponent(location.hash.slice(1))));
state.chosen = decodeURIComponent(location.hash.slice(1));
await poll();
if (!state.chosen && innerWidth > 860 && state.streams.length) choose(state.streams[0].name);
setInterval(poll, POLL_MS);
follow();
