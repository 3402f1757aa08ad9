// The watch page of /APP/NAME. A query, such as a token, goes along with everything that is fetched.
import {LivePlayer} from './player.js';

const $ = (id) => document.getElementById(id);
const video = $('video');
const name = decodeURIComponent(location.pathname.split('/').slice(-2).join('/'));
$('name').textContent = name;
document.title = `${name} · live`;

const base = location.pathname;
const only = new URLSearchParams(location.search).get('protocol'); // flv or hls, to choose by hand
const sources = {
  flv: only !== 'hls' && `${base}.flv${location.search}`,
  hls: only !== 'flv' && `${base}/index.m3u8${location.search}`,
};

// WAITING says why there is nothing to see, by the status of what was asked for.
const WAITING = {
  403: 'This stream needs a link with a token, and this one has none that is valid.',
  503: 'There is no room for another viewer now. This page tries again.',
};
const NOT_LIVE = 'The stream is not live. This page waits for it.';

// explain finds out why nothing plays: players do not tell.
async function explain() {
  const url = sources.hls || sources.flv;
  const {status} = await fetch(url, {method: 'HEAD', cache: 'no-store'}).catch(() => ({}));
  if (document.body.dataset.state === 'waiting') $('note-text').textContent = WAITING[status] ?? NOT_LIVE;
}

new LivePlayer(video, sources, (state, protocol) => {
  const playing = state === 'playing';
  $('note').hidden = playing;
  $('badge').hidden = !playing;
  video.controls = playing;
  $('sound').hidden = !playing || !video.muted;
  // A page that waits opens the stream again and again, and says the same all the while.
  if (state === 'loading' && !document.body.dataset.state) $('note-text').textContent = 'Opening the stream…';
  if (state === 'playing') $('note-text').textContent = NOT_LIVE;
  document.body.dataset.state = state;
  document.body.dataset.protocol = protocol;
  if (state === 'waiting') explain();
});

$('sound').addEventListener('click', () => {
  video.muted = false;
  $('sound').hidden = true;
  video.focus();
});
video.addEventListener('volumechange', () => { if (!video.muted) $('sound').hidden = true; });
