package load

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// publishers is all publishers, and what they measure together.
type publishers struct {
	run       uint32
	source    Source
	network   *network
	measuring *atomic.Bool

	connected  atomic.Int64
	settled    atomic.Int64 // that have been accepted or failed once
	accepted   atomic.Int64 // that have been accepted ever
	bytes      atomic.Int64 // of media, from the beginning
	frames     atomic.Int64 // of video, while measuring
	late       histogram    // how long after its time a message was sent, while measuring
	reconnects atomic.Int64
	errors     errorCounts
}

// publisher sends the source to one URL until the run ends.
type publisher struct {
	group *publishers
	id    uint32
	url   string

	settled  bool
	accepted bool
	frame    uint64 // the next one
	scratch  []byte
}

// tooLate is how late a publisher may be and still catch up. After that it goes on from here, as encoders do.
const tooLate = 5 * time.Second

// publishing runs the publisher until ctx ends.
func (p *publisher) publishing(ctx context.Context) {
	retry := firstRetry
	for first := true; ; first = false {
		if !first {
			p.group.reconnects.Add(1)
		}
		began := time.Now()
		err := p.publish(ctx)
		if ctx.Err() != nil {
			return
		}
		p.group.errors.add(kindOf(err))
		p.settle()
		if time.Since(began) > 2*lastRetry {
			retry = firstRetry
		}
		if sleep(ctx, retry) != nil {
			return
		}
		retry = min(2*retry, lastRetry)
	}
}

func (p *publisher) settle() {
	if !p.settled {
		p.settled = true
		p.group.settled.Add(1)
	}
}

// publish publishes over one connection.
func (p *publisher) publish(ctx context.Context) error {
	client, err := p.connect(ctx)
	if err != nil {
		return err
	}
	p.group.connected.Add(1)
	if !p.accepted {
		p.accepted = true
		p.group.accepted.Add(1)
	}
	p.settle()
	defer p.group.connected.Add(-1)
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = client.Close()
	})
	defer func() {
		if !stop() {
			<-interrupted
		}
		_ = client.Close()
	}()
	return p.send(ctx, client)
}

func (p *publisher) connect(ctx context.Context) (*rtmp.Client, error) {
	client, err := rtmp.Dial(ctx, p.url, rtmp.ClientConfig{
		Timeout: joinTimeout,
		TLS:     p.group.network.tls,
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return p.group.network.dial(ctx, addr, 0)
		},
	})
	if err == nil {
		if err = client.Publish(ctx); err == nil {
			return client, nil
		}
		_ = client.Close()
	}
	if rtmp.Reason(err) == rtmp.ReasonRefusedByPeer {
		return nil, refusedError{err}
	}
	return nil, err
}

// send sends the headers and then the frames, each when its time has come.
func (p *publisher) send(ctx context.Context, client *rtmp.Client) error {
	for _, t := range p.group.source.Headers() {
		if err := p.write(client, t, 0); err != nil {
			return err
		}
	}
	player := p.group.source.Play()
	tag := player.Next()
	for !tag.key {
		tag = player.Next()
	}
	zero, begin := time.Now(), tag.At
	for ; ; tag = player.Next() {
		due := zero.Add(time.Duration(tag.At-begin) * time.Millisecond)
		late := time.Since(due)
		if late < 0 {
			if err := sleep(ctx, -late); err != nil {
				return err
			}
			late = time.Since(due)
		} else if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if late > tooLate {
			zero = zero.Add(late)
		}
		if p.group.measuring.Load() {
			p.group.late.add(late)
		}
		if err := p.write(client, tag, uint32(tag.At-begin)); err != nil {
			return err
		}
	}
}

// write sends one message, with a stamp if it is a frame that can have one.
func (p *publisher) write(client *rtmp.Client, t Tag, at uint32) error {
	body := t.Body
	if t.stampAt > 0 {
		s := stamp{run: p.group.run, publisher: p.id, frame: p.frame, sent: time.Now()}
		p.scratch = insertStamp(p.scratch[:0], body, t.stampAt, t.lengthSize, t.hevc, s)
		body = p.scratch
		p.frame++
		if p.group.measuring.Load() {
			p.group.frames.Add(1)
		}
	}
	if err := client.WriteMedia(uint8(t.Kind), at, body); err != nil {
		return err
	}
	p.group.bytes.Add(int64(len(body)))
	return nil
}
