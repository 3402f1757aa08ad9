package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

func newPublish() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publish FILE URL",
		Short: "Push an FLV file to an RTMP URL in real time",
		Long: `Push an FLV file to an RTMP URL in real time, as an encoder would.

With --loop the file is pushed again and again, with timestamps that go on, and when
the server goes away it is tried again until it is back.`,
		Example: "  headwater publish film.flv rtmp://127.0.0.1/live/test --loop",
		Args:    cobra.ExactArgs(2),
	}
	loop := cmd.Flags().Bool("loop", false, "begin anew at the end, and outlive the server")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkPublishURL(args[1]); err != nil {
			return err
		}
		sent := newProgress(cmd.ErrOrStderr())
		p := publisher{
			path:    args[0],
			loop:    *loop,
			connect: func(ctx context.Context) (mediaConn, error) { return connectRTMP(ctx, args[1]) },
			note: func(text string) {
				sent.end()
				fmt.Fprintf(cmd.ErrOrStderr(), "headwater: %s\n", text)
			},
			clock: newFileClock(),
			sent:  sent,
		}
		err := p.run(cmd.Context())
		sent.end()
		if err != nil {
			return failure{err}
		}
		return nil
	}
	return cmd
}

// checkPublishURL tells a mistyped URL from a server that cannot be reached. The error does not quote it,
// for there may be a key in it.
func checkPublishURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "rtmp" && u.Scheme != "rtmps" || u.Hostname() == "" ||
		!strings.Contains(strings.Trim(u.Path, "/"), "/") {
		return errors.New("the URL is not rtmp://HOST[:PORT]/APP/NAME, or the same with rtmps")
	}
	return nil
}

// connectRTMP connects and asks to publish.
func connectRTMP(ctx context.Context, rawURL string) (mediaConn, error) {
	client, err := rtmp.Dial(ctx, rawURL, rtmp.ClientConfig{})
	if err == nil {
		if err = client.Publish(ctx); err == nil {
			return client, nil
		}
		_ = client.Close() // there is no publication to end
	}
	if rtmp.Reason(err) == rtmp.ReasonRefusedByPeer {
		return nil, refusedError{err}
	}
	return nil, err
}
