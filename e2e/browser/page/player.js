// A player as a web site would build it, with the libraries' default settings.
// It plays what its query names, ?kind=hls|flv|flvjs|ws|ts&url=..., and keeps count of what
// a viewer would notice. The driver reads window.sample().
'use strict';

const video = document.getElementById('video');
const query = new URLSearchParams(location.search);
const seen = {waiting: 0, errors: [], fatal: []};

// describe shortens an error to what a test report needs.
function describe(...parts) {
  return parts.filter(Boolean).map(String).join(': ').slice(0, 300);
}

const players = {
  hls(url) {
    const hls = new Hls();
    hls.on(Hls.Events.ERROR, (_, data) => {
      const list = data.fatal ? seen.fatal : seen.errors;
      list.push(describe(data.type, data.details, data.response && data.response.code, data.error && data.error.message));
    });
    hls.loadSource(url);
    hls.attachMedia(video);
  },
  // mpegts.js takes FLV over WebSocket by the URL's scheme.
  ws(url) {
    players.flv(url);
  },
  flv(url) {
    players.mpegts('flv', url);
  },
  ts(url) {
    players.mpegts('mpegts', url);
  },
  flvjs(url) {
    players.stream(flvjs, 'flv', url);
  },
  mpegts(type, url) {
    players.stream(mpegts, type, url);
  },
  // mpegts.js has kept the interface of flv.js, which it comes from.
  stream(library, type, url) {
    const player = library.createPlayer({type, isLive: true, url});
    player.on(library.Events.ERROR, (type, details, info) => seen.fatal.push(describe(type, details, info && info.msg)));
    player.on(library.Events.LOADING_COMPLETE, () => { seen.ended = true; });
    player.attachMediaElement(video);
    player.load();
  },
};

video.addEventListener('waiting', () => { seen.waiting++; });
video.addEventListener('error', () => seen.fatal.push(describe('media element', video.error.code, video.error.message)));
video.addEventListener('ended', () => { seen.ended = true; });

// sample returns the state of the playback; times in seconds.
window.sample = () => {
  const quality = video.getVideoPlaybackQuality();
  const ranges = video.buffered;
  return {
    clock: performance.now() / 1000,
    currentTime: video.currentTime,
    bufferedEnd: ranges.length ? ranges.end(ranges.length - 1) : 0,
    playing: !video.paused && video.readyState > 2,
    width: video.videoWidth,
    height: video.videoHeight,
    decodedFrames: quality.totalVideoFrames,
    droppedFrames: quality.droppedVideoFrames,
    audioBytes: video.webkitAudioDecodedByteCount,
    waiting: seen.waiting,
    ended: Boolean(seen.ended),
    errors: seen.errors,
    fatal: seen.fatal,
  };
};

players[query.get('kind')](query.get('url'));
video.play().catch((err) => {
  // A pending play() is aborted when the library attaches its source; it then plays by itself.
  if (err.name !== 'AbortError') seen.fatal.push(describe('play', err.name, err.message));
});
video.autoplay = true;
