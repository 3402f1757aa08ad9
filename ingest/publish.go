package ingest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// publication is a session's turn on a stream.
type publication struct {
	*remux.Publication
	name  remux.StreamName
	over  chan struct{} // closed when the session is done with it
	watch sync.WaitGroup
	admission
	bitrate bucket
	record  json.RawMessage // the decision's Admission
}

// Who asks a server that ends is told so, be it that another process has taken its place.
const (
	stoppingReason = "stopping"
	stoppingText   = "the server is stopping: connect again, and to another server if there is one"
)

// publish decides on a request and begins the publication.
func (se *session) publish(r *rtmp.PublishRequest) error {
	name, err := remux.ParseStreamName(r.App, r.Name)
	if err != nil {
		return se.refuse(r, BadName, rtmp.CodePublishBadName,
			fmt.Sprintf("%v. %s", err, wantAddress))
	}
	if se.server.refusing.Load() {
		return se.refuse(r, stoppingReason, rtmp.CodePublishRejected, stoppingText)
	}
	remote := addrPort(se.nc.RemoteAddr())
	decision := se.server.config.MayPublish(Request{Stream: name, Query: r.Query, Remote: remote, Protocol: se.protocol})
	adm, refusal := decision.enter()
	if refusal != nil {
		return se.refuse(r, refusal.code(), rtmp.CodePublishDenied, refusal.Reason)
	}
	name = cmp.Or(decision.Stream, name)
	encoder := r.Connect.FlashVer
	pub, err := se.server.config.Hub.Publish(name, remux.Publisher{
		Remote:     remote,
		Credential: decision.Credential,
		Encoder:    encoder,
		Protocol:   se.protocol,
	})
	if err != nil {
		adm.leave()
	}
	switch {
	case errors.Is(err, remux.ErrBusy):
		return se.refuse(r, "busy", rtmp.CodePublishBadName, err.Error())
	case errors.Is(err, remux.ErrFlapping):
		return se.refuse(r, "flapping", rtmp.CodePublishBadName, err.Error())
	case err != nil:
		return se.refuse(r, "rejected", rtmp.CodePublishRejected, err.Error())
	}
	se.wire.limit(0)
	se.wire.trust()
	se.conn.Authorised()
	se.begin(r.StreamID, pub, name, adm, &decision)
	if err := se.conn.AcceptPublish(r); err != nil {
		return err
	}
	se.log.Info("publication began", "stream", string(name), "encoder", pub.Encoder(), "generation", pub.Generation())
	return nil
}

// begin starts to watch a publication.
func (se *session) begin(id uint32, pub *remux.Publication, name remux.StreamName, adm admission, d *Decision) {
	p := &publication{
		Publication: pub, name: name, over: make(chan struct{}), admission: adm, bitrate: newBitrateLimit(d.MaxBitrate), record: d.Admission,
	}
	se.publications[id] = p
	se.entry.publishing.Add(1)
	p.watch.Go(func() {
		select {
		case <-p.over:
		case <-p.Done(): // ended by somebody else
			_ = se.conn.CloseWithStatus(id, rtmp.CodePublishRejected, endText(p.Reason()))
		case <-p.permit.Done():
			cause := p.cause()
			se.server.refusals.count(cause.counted())
			p.End(cause.endReason())
			se.wire.hurry()
			_ = se.conn.CloseWithStatus(id, rtmp.CodePublishRejected, cause.text())
		}
	})
}

// endText tells the person at the encoder why somebody else has ended the publication.
func endText(reason remux.EndReason) string {
	switch reason {
	case remux.EndTakenOver:
		return "another connection with the same key has taken this stream over"
	case remux.EndKicked:
		return "the operator has ended this publication"
	case remux.EndShutdown:
		return remux.ErrClosed.Error()
	}
	return "the publication has been ended"
}

// media writes a message into its publication.
func (se *session) media(m *rtmp.Media) error {
	p := se.publications[m.StreamID]
	if p == nil {
		return nil
	}
	if p.bitrate.overflows(float64(len(m.Payload))*8, time.Now()) {
		p.end(EndTooMuch)
	}
	if m.Type == rtmp.TypeData {
		properties, err := metadata(m.Payload)
		if err != nil {
			se.server.countSkipped(rtmp.SkipMalformedData)
		}
		if properties != nil {
			p.SetMetadata(properties)
		}
		return nil
	}
	return p.Write(remux.Message{Type: flvtag.Type(m.Type), Timestamp: m.Timestamp, Payload: m.Payload})
}

// endPublication ends a publication, and waits for its watcher.
func (se *session) endPublication(id uint32, reason remux.EndReason) {
	p := se.publications[id]
	if p == nil {
		return
	}
	delete(se.publications, id)
	se.entry.publishing.Add(-1)
	if len(se.publications) == 0 && len(se.players) > 0 {
		se.wire.plays()
	}
	if se.server.stopping() {
		reason = remux.EndShutdown
	}
	close(p.over)
	p.watch.Wait()
	p.End(reason)
	p.leave()
	se.log.Info("publication ended", "stream", string(p.name), "generation", p.Generation(), "reason", string(p.Reason()))
}

// maxMetadata bounds the properties that are passed on.
const maxMetadata = 64

// metadata returns the properties of an onMetaData body that can be passed on, nil for other
// script data. With an error, they are those before what cannot be decoded.
func metadata(body []byte) ([]flvtag.Property, error) {
	name, value, err := rtmp.DecodeData(body)
	if name != "onMetaData" {
		return nil, err
	}
	object, ok := rtmp.AsObject(value)
	if !ok {
		return nil, err
	}
	out := []flvtag.Property{}
	for _, p := range object {
		switch p.Value.(type) {
		case string, float64, bool:
			if len(out) < maxMetadata {
				out = append(out, flvtag.Property{Name: p.Name, Value: p.Value})
			}
		}
	}
	return out, err
}

// endReason says why a publication ended, from why its connection did.
func endReason(cause error) remux.EndReason {
	switch {
	case cause == nil:
		return remux.EndUnpublished
	case rtmp.Reason(cause) == rtmp.ReasonMediaTimeout:
		return remux.EndSilent
	}
	return remux.EndDisconnected
}
