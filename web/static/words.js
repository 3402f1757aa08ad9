// What the console says: numbers, times and events in words, and what is told from a stream's state.

export function bits(n) {
  if (n >= 1e9) return `${(n / 1e9).toFixed(2)} Gbit/s`;
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)} Mbit/s`;
  return `${Math.round(n / 1e3)} kbit/s`;
}

export function bytes(n) {
  for (const [unit, size] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]]) if (n >= size) return `${(n / size).toFixed(1)} ${unit}`;
  return `${n} B`;
}

export function span(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;

export function tracks(s) {
  const parts = [];
  if (s.video?.width) parts.push(`${s.video.width}×${s.video.height}`);
  if (s.video?.frame_rate) parts.push(`${Math.round(s.video.frame_rate * 10) / 10} fps`);
  if (s.video) parts.push(s.video.codec);
  if (s.video?.gop_seconds) parts.push(`keyframe every ${s.video.gop_seconds.toFixed(1)} s`);
  if (s.audio) parts.push(s.audio.sample_rate ? `${s.audio.codec} ${s.audio.sample_rate / 1000} kHz` : s.audio.codec);
  return parts.join(' · ');
}

export const viewers = (s) => Object.values(s.viewers_by_protocol).reduce((a, b) => a + b, 0);
export const bitrate = (s) => (s.state === 'live' ? s.publication.bitrate : 0);
export const findings = (s) => s.publication?.findings ?? [];
export const warnings = (s) => (s.state === 'live' ? findings(s).filter((f) => f.active && f.severity === 'warning') : []);

export const EVENT_WORDS = {
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

// troubles says what is wrong with the server itself, which concerns all streams.
export function troubles(server) {
  const list = [];
  if (server.storage && !server.storage.ok) {
    list.push(`Segments cannot be stored: ${server.storage.reason}. HLS is served from memory, which has taken ${bytes(server.storage.held_bytes)}.`);
  }
  for (const h of server.hooks) if (h.last_error && h.queued) {
    list.push(`${count(h.queued, 'event waits', 'events wait')} for the webhook at ${h.endpoint}: ${h.last_error}`);
  }
  return list;
}

// rank sorts streams that need somebody first, then those that are live, then by name.
export const rank = (s) => (warnings(s).length ? 0 : s.state === 'live' ? 1 : 2);
export const byNeed = (a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
