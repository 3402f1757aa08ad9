// What the console shows of all streams and of the server.

import {$, el, put, redraw} from './dom.js';
import {state} from './state.js';
import {bitrate, bits, count, EVENT_WORDS, tracks, troubles, viewers, warnings} from './words.js';

const MAX_EVENTS = 40;
const MANY_STREAMS = 8; // from so many on they can be searched

export function drawTotals() {
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
export function drawTroubles() {
  const list = troubles(state.server);
  redraw('troubles', list, () => list.map((text) => el('li', '', text)));
  $('troubles').hidden = !list.length;
}

// drawRefusals says who was refused while the page was open, for an encoder that cannot connect is on no list. A server
// that was started anew counts from 0.
export function drawRefusals() {
  const now = state.server.refusals;
  state.refusals ??= now;
  if (Object.entries(state.refusals).some(([reason, n]) => (now[reason] ?? 0) < n)) state.refusals = {};
  const before = state.refusals;
  const grown = Object.entries(now).map(([reason, n]) => [reason, n - (before[reason] ?? 0)]).filter(([, n]) => n > 0);
  grown.sort((a, b) => b[1] - a[1]);
  redraw('refusals', grown, () => grown.flatMap(([reason, n]) => [el('dt', '', reason.replaceAll('-', ' ')), el('dd', '', String(n))]));
  $('refused').hidden = !grown.length;
}

// drawList keeps the buttons of streams that stay, so that the focus does too. choose is called when one is clicked.
export function drawList(choose) {
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

export function addEvent(event) {
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
