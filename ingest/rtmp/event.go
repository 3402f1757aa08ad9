package rtmp

// Event is what Next returns: *PublishRequest, *PlayRequest, *Media, *Unpublish,
// *Stop, *Pause or *Receive.
type Event interface{ event() }

// PublishRequest asks to publish. Answer it with AcceptPublish or Reject before
// the next call of Next. The names are as the peer sent them: check them.
type PublishRequest struct {
	App   string // without query and outer slashes
	Name  string // the same; may contain slashes, may be empty
	Query string // raw query of name, app and tcUrl, joined with "&": secret
	Type  string // "live", "record" or "append", "" if missing

	Connect  *ConnectInfo
	StreamID uint32
}

// PlayRequest asks to play. Answer it with AcceptPlay or Reject before the next
// call of Next.
type PlayRequest struct {
	App, Name, Query string  // as in PublishRequest
	Start            float64 // seconds; -2 live or recorded, -1 live only

	Connect  *ConnectInfo
	StreamID uint32
}

// Media is a message of an accepted publication. It is valid until the next call
// of Next or ReadMedia; the payload stays valid and never changes, see the
// package comment on what it pins.
type Media struct {
	Type      uint8  // TypeAudio, TypeVideo or TypeData
	StreamID  uint32 // of the PublishRequest
	Timestamp uint32 // milliseconds modulo 2^32
	// Payload is an FLV tag body. It may be empty. Script data comes without
	// @setDataFrame: see DecodeData.
	Payload []byte
}

// Unpublish says that an accepted publication has ended: each exactly once.
type Unpublish struct {
	StreamID uint32
	// Cause is nil if the peer asked for it, else why the connection ended, or why this publication did while
	// others on it go on: ReasonMediaTimeout.
	Cause error
}

// Stop says that an accepted play has ended: each exactly once.
type Stop struct {
	StreamID uint32
	Cause    error // nil if the peer asked for it, else why the connection ended
}

// Pause says that a player has paused or resumed; it has been confirmed.
type Pause struct {
	StreamID uint32
	Paused   bool
}

// Receive says that a player wants to be sent audio or video from now on, or no more
// (section 7.2.2.4 and 7.2.2.5); it has been confirmed.
type Receive struct {
	StreamID uint32
	Type     uint8 // TypeAudio or TypeVideo
	Wanted   bool
}

func (*PublishRequest) event() {}
func (*PlayRequest) event()    {}
func (*Media) event()          {}
func (*Unpublish) event()      {}
func (*Stop) event()           {}
func (*Pause) event()          {}
func (*Receive) event()        {}
