package flvtag

// Codec names a codec by its FourCC, big endian, as Enhanced RTMP does. Codecs
// that FLV knows only by number have the FourCC that QuickTime or ffmpeg gives
// them. The zero Codec is unknown.
type Codec uint32

// The codecs that FLV and Enhanced RTMP can name.
const (
	H264 Codec = 'a'<<24 | 'v'<<16 | 'c'<<8 | '1'
	HEVC Codec = 'h'<<24 | 'v'<<16 | 'c'<<8 | '1'
	VVC  Codec = 'v'<<24 | 'v'<<16 | 'c'<<8 | '1'
	AV1  Codec = 'a'<<24 | 'v'<<16 | '0'<<8 | '1'
	VP8  Codec = 'v'<<24 | 'p'<<16 | '0'<<8 | '8'
	VP9  Codec = 'v'<<24 | 'p'<<16 | '0'<<8 | '9'

	AAC  Codec = 'm'<<24 | 'p'<<16 | '4'<<8 | 'a'
	MP3  Codec = '.'<<24 | 'm'<<16 | 'p'<<8 | '3'
	Opus Codec = 'O'<<24 | 'p'<<16 | 'u'<<8 | 's'
	AC3  Codec = 'a'<<24 | 'c'<<16 | '-'<<8 | '3'
	EAC3 Codec = 'e'<<24 | 'c'<<16 | '-'<<8 | '3'
	FLAC Codec = 'f'<<24 | 'L'<<16 | 'a'<<8 | 'C'

	Sorenson   Codec = 'F'<<24 | 'L'<<16 | 'V'<<8 | '1'
	Screen     Codec = 'F'<<24 | 'S'<<16 | 'V'<<8 | '1'
	VP6        Codec = 'V'<<24 | 'P'<<16 | '6'<<8 | 'F'
	VP6Alpha   Codec = 'V'<<24 | 'P'<<16 | '6'<<8 | 'A'
	PCM        Codec = 'l'<<24 | 'p'<<16 | 'c'<<8 | 'm'
	ALaw       Codec = 'a'<<24 | 'l'<<16 | 'a'<<8 | 'w'
	MuLaw      Codec = 'u'<<24 | 'l'<<16 | 'a'<<8 | 'w'
	ADPCM      Codec = 's'<<24 | 'w'<<16 | 'f'<<8 | 'a'
	Nellymoser Codec = 'n'<<24 | 'm'<<16 | 'o'<<8 | 's'
	Speex      Codec = 's'<<24 | 'p'<<16 | 'x'<<8 | 'N'
)

var codecNames = map[Codec]string{
	H264: "H.264", HEVC: "HEVC", VVC: "VVC", AV1: "AV1", VP8: "VP8", VP9: "VP9",
	AAC: "AAC", MP3: "MP3", Opus: "Opus", AC3: "AC-3", EAC3: "E-AC-3", FLAC: "FLAC",
	Sorenson: "Sorenson H.263", Screen: "Screen Video", VP6: "VP6", VP6Alpha: "VP6 with alpha",
	PCM: "PCM", ALaw: "G.711 A-law", MuLaw: "G.711 mu-law", ADPCM: "ADPCM",
	Nellymoser: "Nellymoser", Speex: "Speex",
}

// String returns the codec's common name, or its FourCC with unprintable bytes
// replaced by dots.
func (c Codec) String() string {
	if name, ok := codecNames[c]; ok {
		return name
	}
	if c == 0 {
		return "unknown"
	}
	b := []byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)}
	for i, v := range b {
		if v < 0x20 || v > 0x7e {
			b[i] = '.'
		}
	}
	return string(b)
}

// legacyVideo maps CodecID of annex E.4.3.1; 12 is the number that Chinese CDNs
// gave HEVC before Enhanced RTMP.
var legacyVideo = [16]Codec{2: Sorenson, 3: Screen, 4: VP6, 5: VP6Alpha, 6: Screen, 7: H264, 12: HEVC}

// legacyAudio maps SoundFormat of annex E.4.2.1.
var legacyAudio = [16]Codec{0: PCM, 1: ADPCM, 2: MP3, 3: PCM, 4: Nellymoser, 5: Nellymoser, 6: Nellymoser,
	7: ALaw, 8: MuLaw, 10: AAC, 11: Speex, 14: MP3}
