// One stream: its facts, charts, diagnosis, addresses, window and publication.

import {$, drawChart, el, put, redraw} from './dom.js';
import {bitrate, bits, bytes, findings, span, tracks} from './words.js';

// drawDetail draws a stream, or hides the part if there is none. past are its values of the last minutes.
export function drawDetail(s, past) {
  $('detail').hidden = !s;
  document.body.classList.toggle('chosen', Boolean(s));
  if (!s) return;
  const live = s.state === 'live';
  put('name', s.name);
  put('state', live ? 'live' : 'waits for its publisher');
  $('state').classList.toggle('live', live);
  put('facts', tracks(s));
  put('bitrate-now', bits(bitrate(s)));
  put('viewers-now', Object.entries(s.viewers_by_protocol).filter(([, n]) => n).map(([p, n]) => `${n} ${p.toUpperCase()}`).join(' · ') || '0');
  drawChart('bitrate', past.rate, bits);
  drawChart('viewers', past.viewers, String);
  drawFindings(s);
  drawAddresses(s);
  drawWindow(s.hls);
  drawPublication(s);
  $('end').disabled = !live;
}

// redraw replaces what is in a node if its source has changed.
function drawFindings(s) {
  const list = findings(s).filter((f) => f.code !== 'encoder').map((f) => [f.code, f.severity, f.active, f.measured, f.advice]);
  redraw('findings', [s.state, list], () => {
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
    [p.end_reason ? 'Lasted' : 'For', span(p.uptime_seconds) + (p.end_reason ? `, ${p.end_reason.replaceAll('-', ' ')}` : '')],
    ['Received', `${bytes(p.counters.bytes)}, ${p.counters.video_frames} pictures, ${p.counters.audio_frames} audio frames`],
  ] : [];
  redraw('publication', rows, () => rows.flatMap(([name, value]) => [el('dt', '', name), el('dd', '', value)]));
}
