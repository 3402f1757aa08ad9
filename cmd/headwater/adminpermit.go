package main

import (
	"context"
	"net/http"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/edge"
)

// adminPermit is what lets requests in at the private listener: its token, if it has one, and where it is. What was let
// in and goes on, events and previews, ends when another one takes its place: whoever had the old token is out.
type adminPermit struct {
	token, addr string
	ctx         context.Context
	cancel      context.CancelFunc
}

// renew puts a token and an address in force. The function that it returns ends what began under others, if they were;
// it is to be called when no request can begin under them any more.
func (p *adminPermit) renew(token, addr string) (end func()) {
	if p.ctx != nil && p.token == token && p.addr == addr {
		return func() {}
	}
	end = func() {}
	if p.cancel != nil {
		end = p.cancel
	}
	p.token, p.addr = token, addr
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return end
}

// preview answers for the streams that the console plays. Who has shown the admin token may see all of them; where
// there is none, whoever is on this machine gets what the public listener would give out.
func (s *server) preview(cfg *config.Config, token string) *edge.Handler {
	access := previewAccess{permit: s.permit.ctx}
	if token == "" {
		access.inner = s.access
	}
	h := &edge.Handler{Private: true, Access: access}
	if cfg.FLV.Enabled {
		h.FLV = s.flv
	}
	if s.hls != nil {
		h.HLS = s.hls
	}
	return h
}

// previewAccess lets in for as long as a permit holds.
type previewAccess struct {
	permit context.Context
	inner  edge.Access // is asked, too; nil is not
}

// MayWatch implements edge.Access.
func (p previewAccess) MayWatch(r *http.Request, ask edge.Ask) edge.Verdict {
	var v edge.Verdict
	if p.inner != nil {
		if v = p.inner.MayWatch(r, ask); v.Status != 0 {
			return v
		}
	}
	inner := v.Enter
	v.Enter = func(end func()) (func(), *edge.Verdict) {
		left := func() {}
		if inner != nil {
			var refusal *edge.Verdict
			if left, refusal = inner(end); refusal != nil {
				return nil, refusal
			}
		}
		stop := context.AfterFunc(p.permit, end)
		return func() { stop(); left() }, nil
	}
	return v
}
