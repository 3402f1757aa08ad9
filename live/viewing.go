package live

import (
	"context"
	"errors"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

var errNotFound = errors.New("the stream did not come")

// viewing is one viewer from its request to its end.
type viewing struct {
	server *Server
	name   remux.StreamName
	remote string
	permit context.Context
	leave  func(sent uint64)
	found  *bytelog.Found // nil until the stream is there
	remove func()         // from the stream's viewers
	viewer bytelog.Viewer
}

// watch has end called when the viewer must go, until the returned function is.
func (v *viewing) watch(end func()) (forget func()) {
	stopping := context.AfterFunc(v.server.ctx, end)
	expired := context.AfterFunc(v.permit, end)
	return func() {
		stopping()
		expired()
	}
}

// to returns the viewer that writes to an output.
func (v *viewing) to(out bytelog.Output) *bytelog.Viewer {
	w := &v.viewer
	w.Log, w.From, w.MaxBacklog = v.found.Log, v.found.From, int64(v.server.limits.Load().maxBacklog)
	w.Metrics, w.Output = &v.server.metrics, out
	return w
}

// left is called when the viewer has gone.
func (v *viewing) left(err error) {
	name := v.name.Redacted()
	if v.found != nil {
		name = string(v.name)
	}
	v.server.config.Logger.Debug("viewer left", "stream", name, "remote", v.remote, "error", err)
	if v.found != nil {
		v.remove()
		v.found.Leave()
	}
	v.leave(v.viewer.Sent())
	v.server.viewers.Done()
}
