// Package aac reads what an encoder says about its AAC audio and writes the ADTS
// header that each of its frames needs in MPEG-TS.
//
// RTMP, FLV and MP4 say how to decode once, in an AudioSpecificConfig (ISO/IEC
// 14496-3, 1.6.2.1), and then carry bare frames. MPEG-TS has no place for such a
// record, so each frame gets a header (1.A.2.2) that can say less: the four oldest
// object types, the thirteen usual sample rates and eight channel layouts.
//
// HE-AAC is AAC-LC at half the sample rate with an extension in its frames that old
// decoders skip. ADTS signals that core; decoders find the extension by themselves.
package aac

import "fmt"

// ObjectType is an audio object type (ISO/IEC 14496-3, table 1.17).
type ObjectType uint8

// The object types that are told apart here.
const (
	TypeMain ObjectType = 1
	TypeLC   ObjectType = 2
	TypeSSR  ObjectType = 3
	TypeLTP  ObjectType = 4
	TypeSBR  ObjectType = 5  // HE-AAC: spectral band replication over a core
	TypePS   ObjectType = 29 // HE-AAC v2: parametric stereo over SBR
)

// Config is an audio decoder configuration. Configs can be compared with ==.
type Config struct {
	// Type is the object type of the core: TypeLC for HE-AAC too.
	Type ObjectType
	// Extension is TypeSBR or TypePS where the configuration says so, else 0.
	// Encoders may also use them without saying so.
	Extension ObjectType
	// SampleRate is that of the core in Hz. One frame lasts SamplesPerFrame of
	// these samples, also with SBR.
	SampleRate int
	// OutputSampleRate is the rate after SBR in Hz, else SampleRate.
	OutputSampleRate int
	// Channels is the number of channels of the core: 1 for parametric stereo. 0
	// where the frames say it.
	Channels int
	// SamplesPerFrame is 1024, or 960, 512 or 480 for special uses.
	SamplesPerFrame int

	// frequencyIndex and layout are samplingFrequencyIndex and
	// channelConfiguration.
	frequencyIndex, layout uint8
	// program is a raw_data_block element with the program_config_element that
	// describes the channels if layout is 0. It is a string to be comparable.
	program string
}

// Equal reports whether two configurations are the same to a decoder.
func (c Config) Equal(other Config) bool { return c == other }

// CodecString returns the name of RFC 6381, section 3.3: "mp4a.40.2" for AAC-LC,
// "mp4a.40.5" for HE-AAC, "mp4a.40.29" for HE-AAC v2.
func (c Config) CodecString() string {
	if c.Extension != 0 {
		return fmt.Sprintf("mp4a.40.%d", c.Extension)
	}
	return fmt.Sprintf("mp4a.40.%d", c.Type)
}
