package ingest

import (
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// Playback is what became of a wish to play, once nothing comes of it any more. Where no stream was found, its Stream is
// APP/NAME as the player said it, which may be no stream's name.
type Playback struct {
	Request
	// Player is what the player calls itself, such as "LNX 9,0,124,2".
	Player string
	// Asked is when it was asked for. FirstByte is from there until the stream began to be sent or was refused, Duration
	// until the end.
	Asked               time.Time
	FirstByte, Duration time.Duration
	// Sent are the bytes of media that were sent, with those of the chunks around them.
	Sent uint64
	// Code is what the refusal is counted as, such as BadName, NotFound if no such stream came in time; "" if it was
	// played.
	Code string
}

const (
	// NotFound is the Code of a playback of a stream that there was not.
	NotFound = "play-not-found"
	// BadName is that of one that asked for what cannot be called so; publications have it, too.
	BadName = "bad-name"
)

// newPlayback begins the account of a playback.
func (se *session) newPlayback(r *rtmp.PlayRequest, name remux.StreamName) *Playback {
	b := &Playback{
		Request: Request{Stream: name, Query: r.Query, Remote: addrPort(se.nc.RemoteAddr()), Protocol: se.protocol},
		Asked:   time.Now(),
	}
	if r.Connect != nil {
		b.Player = r.Connect.FlashVer
	}
	return b
}

// answered notes when the player got an answer: its stream, or the code of a refusal.
func (b *Playback) answered(code string) { b.FirstByte, b.Code = time.Since(b.Asked), code }

// refused accounts for a playback before it is known what would be played.
func (se *session) refused(r *rtmp.PlayRequest, code string) {
	account := se.newPlayback(r, remux.StreamName(r.App+"/"+r.Name))
	account.answered(code)
	se.account(account)
}

// account tells of a playback that is over.
func (se *session) account(b *Playback) {
	if played := se.server.config.Played; played != nil {
		b.Duration = time.Since(b.Asked)
		played(*b)
	}
}
