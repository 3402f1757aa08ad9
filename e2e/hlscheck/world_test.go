package hlscheck

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// world is an invented broadcast without fault, which a test then spoils in one
// place: before it is rendered in its fields, afterwards in the History.
type world struct {
	segments     []testSegment
	entries      []worldEntry
	versions     []worldVersion
	independent  bool
	multivariant string // attributes after the bandwidths
	marks        []Mark
	spoil        []func(h *History)
}

// worldEntry is a segment as playlists show it.
type worldEntry struct {
	uri           string
	duration      time.Duration
	discontinuity bool
	date          time.Time
}

// worldVersion is one version of the media playlist: entries[from:to].
type worldVersion struct {
	at, until     time.Time
	from, to      int
	discontinuity int
	tail          string
}

const (
	worldURL    = "http://origin.test/live/test/index.m3u8"
	worldMedia  = "http://origin.test/live/test/media.m3u8"
	worldTarget = 2 * time.Second
	worldCount  = 9
	worldWindow = 4
	frame90k    = ptsHz / 25
	audioFrames = 4 // in a PES packet
)

var (
	worldStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sps180     = unhex("674d400cd901419f9f011000000300100000030320f142a480")
	sps144     = unhex("674d400cd901013b011000000300100000030320f142a480")
	pps        = unhex("68ebc3cb20")
	aud        = []byte{0x09, 0xf0}
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// newWorld invents nine segments of two seconds whose time stamps wrap in the
// middle, and a window of four.
func newWorld(video, audio bool) *world {
	w := &world{independent: true}
	codecs := []string{}
	var tracks []track
	if video {
		tracks = append(tracks, track{testVideo, streamTypeH264})
		codecs = append(codecs, "avc1.4d400c")
	}
	if audio {
		tracks = append(tracks, track{testAudio, streamTypeADTS})
		codecs = append(codecs, "mp4a.40.2")
	}
	w.multivariant = `,CODECS="` + strings.Join(codecs, ",") + `"`
	if video {
		w.multivariant += ",RESOLUTION=320x180,FRAME-RATE=25.000"
	}
	random := rand.New(rand.NewPCG(1, 2))
	var frames int64 // audio frames before the segment
	begin := int64(ptsWrap - 9*ptsHz)
	for i := range worldCount {
		s := testSegment{tracks: tracks, pcrPID: tracks[0].pid}
		dts := begin + int64(i)*2*ptsHz
		end := dts + 2*ptsHz
		if video {
			for n := range int64(50) {
				s.pes = append(s.pes, videoPES(dts+n*frame90k, n == 0, random))
			}
		}
		if audio {
			for ; begin+frames*aacFrame*ptsHz/48000 < end; frames += audioFrames {
				s.pes = append(s.pes, audioPES(begin+frames*aacFrame*ptsHz/48000, !video, random))
			}
		}
		w.segments = append(w.segments, s)
		w.entries = append(w.entries, worldEntry{
			uri: fmt.Sprintf("a1-%05d.ts", i), duration: w.length(i, video),
			date: worldStart.Add(time.Duration(since(begin, w.firstDTS(i, video), ptsWrap)) * time.Second / ptsHz),
		})
		at := worldStart.Add(time.Duration(i+1) * worldTarget)
		w.versions = append(w.versions, worldVersion{at: at, until: at.Add(worldTarget - 100*time.Millisecond), from: max(0, i+1-worldWindow), to: i + 1})
	}
	return w
}

func (w *world) firstDTS(i int, video bool) int64 { return w.segments[i].pes[0].dts }

// length is EXTINF: with video two seconds, without it as many PES packets as fit.
func (w *world) length(i int, video bool) time.Duration {
	if video {
		return worldTarget
	}
	packets := time.Duration(len(w.segments[i].pes))
	return packets * audioFrames * aacFrame * time.Second / 48000
}

func noise(n int, random *rand.Rand) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(1 + random.IntN(255))
	}
	return b
}

func wrap(t int64) int64 { return (t + ptsWrap) % ptsWrap }

func clockFor(dts int64) int64 { return wrap(dts-ptsHz/2) * 300 }

func videoPES(dts int64, idr bool, random *rand.Rand) testPES {
	p := testPES{pid: testVideo, pts: wrap(dts + 2*frame90k), dts: wrap(dts), pcr: clockFor(dts), random: idr, order: wrap(dts)}
	if idr {
		p.payload = testAnnexB(aud, sps180, pps, append([]byte{0x65, 0x88}, noise(3000, random)...))
	} else {
		p.payload = testAnnexB(aud, append([]byte{0x41, 0x9b}, noise(300, random)...))
	}
	return p
}

func audioPES(pts int64, clock bool, random *rand.Rand) testPES {
	p := testPES{pid: testAudio, pts: wrap(pts), dts: wrap(pts), pcr: noTime, order: wrap(pts)}
	if clock {
		p.pcr = clockFor(pts)
	}
	for range audioFrames {
		p.payload = append(p.payload, testADTS(noise(340, random))...)
	}
	return p
}

// history renders the world.
func (w *world) history() History {
	h := History{Segments: map[string][]byte{}, Marks: w.marks}
	var mux testMux
	var peak, total, length float64
	for i, s := range w.segments {
		body := mux.segment(s)
		h.Segments[worldSegmentURL(w.entries[i].uri)] = body
		peak = max(peak, 8*float64(len(body))/w.entries[i].duration.Seconds())
		total += 8 * float64(len(body))
		length += w.entries[i].duration.Seconds()
	}
	for _, v := range w.versions {
		h.Media = append(h.Media, newVersion(worldMedia, v.at, v.until, w.text(v)))
	}
	text := fmt.Sprintf("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:BANDWIDTH=%.0f,AVERAGE-BANDWIDTH=%.0f%s\nmedia.m3u8\n",
		math.Ceil(peak), total/length, w.multivariant)
	h.Multivariant = []Version{newVersion(worldURL, w.versions[0].at, w.versions[len(w.versions)-1].until, text)}
	for _, spoil := range w.spoil {
		spoil(&h)
	}
	return h
}

func worldSegmentURL(uri string) string { return "http://origin.test/live/test/" + uri }

func (w *world) text(v worldVersion) string {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:3\n")
	if w.independent {
		b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
	fmt.Fprintf(&b, "#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", worldTarget/time.Second, v.from, v.discontinuity)
	for i, e := range w.entries[v.from:v.to] {
		if e.discontinuity {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if i == 0 || e.discontinuity {
			fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", e.date.Format("2006-01-02T15:04:05.000Z07:00"))
		}
		fmt.Fprintf(&b, "#EXTINF:%.3f,\n%s\n", e.duration.Seconds(), e.uri)
	}
	return b.String() + v.tail
}

func newVersion(url string, at, until time.Time, text string) Version {
	v := Version{URL: url, At: at, LastSeen: until}
	setBody(&v, text)
	return v
}

// setBody gives a version a text and the headers that go with it.
func setBody(v *Version, text string) {
	v.Body = []byte(text)
	v.Header = http.Header{
		"Content-Type":                {playlistType},
		"Content-Length":              {fmt.Sprint(len(text))},
		"Cache-Control":               {"public, max-age=1, stale-while-revalidate=1"},
		"Etag":                        {fmt.Sprintf(`"%x"`, sha256.Sum256(v.Body))},
		"Access-Control-Allow-Origin": {"*"},
		"Vary":                        {"Accept-Encoding"},
	}
}

func newNoise() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }
