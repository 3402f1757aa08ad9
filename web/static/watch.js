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

new LivePlayer(video, sources, (state, protocol) => {
  const playing = state === 'playing';
  $('note').hidden = playing;
  $('badge').hidden = !playing;
  video.controls = playing;
  $('sound').hidden = !playing || !video.muted;
  $('note-text').textContent = state === 'loading' ? 'Opening the stream…' : 'The stream is not live. This page waits for it.';
  document.body.dataset.state = state;
  document.body.dataset.protocol = protocol;
});

$('sound').addEventListener('click', () => {
  video.muted = false;
  $('sound').hidden = true;
  video.focus();
});
video.addEventListener('volumechange', () => { if (!video.muted) $('sound').hidden = true; });
