package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headwater-live/headwater/load"
)

// benchOptions are the flags of headwater bench.
type benchOptions struct {
	start bool
	pid   int

	publishers, streams int
	publish, http       string
	file                string
	bitrate, audio      string
	fps                 int
	gop                 time.Duration
	size                string

	viewers []benchViewers

	ramp, sample            int
	warmup, duration, stall time.Duration
	maxLost                 int64
	insecure, json          bool
}

// benchViewers are the flags of one protocol.
type benchViewers struct {
	protocol    load.Protocol
	flag, title string
	scheme      string // of the URL, beside the one of HTTP
	path        string // behind /APP/NAME
	count       int
	url         string
}

const benchLong = `Put a load on a server and print what it cost: publishers over RTMP, and viewers over every protocol.

The server is one that this command starts for the occasion (--start, with flags of headwater serve behind --),
or any other one, of whatever make, that speaks RTMP, HTTP-FLV, WebSocket-FLV, HTTP-TS or HLS. Its CPU and
memory are measured if it runs on this machine and its process is known (--pid, which includes children).

In URLs %d stands for the number of the stream, from 1. URLs of viewers are made of --publish and --http unless
they are given, as Headwater has them.

Frames carry the time at which they were sent, and some viewers look at it (--sample): that gives the delay, and
which frames were lost. The bytes of the other viewers are only counted.

The exit code is 1 if the server accepts nobody, if a viewer never receives anything, or if more frames are lost
than --max-lost. Ctrl-C ends early, with what was measured so far.`

const benchExample = `  headwater bench --start --flv 300
  headwater bench --start --publishers 50 --hls 200 --duration 1m -- --hls.segment=4s
  headwater bench --publish rtmp://127.0.0.1/live/bench%d --publishers 10 --flv 1000 --pid $(pidof headwater)
  headwater bench --publish rtmp://127.0.0.1/live/bench --flv 300 --flv-url http://127.0.0.1:8080/live/bench.flv --pid $(pidof srs)`

func newBench() *cobra.Command {
	o := &benchOptions{viewers: []benchViewers{
		{protocol: load.HTTPFLV, flag: "flv", title: "HTTP-FLV", scheme: "http", path: ".flv"},
		{protocol: load.WebSocketFLV, flag: "ws", title: "WebSocket-FLV", scheme: "ws", path: ".flv"},
		{protocol: load.RTMPPlay, flag: "rtmp", title: "RTMP"},
		{protocol: load.HTTPTS, flag: "ts", title: "HTTP-TS", scheme: "http", path: ".ts"},
		{protocol: load.HLS, flag: "hls", title: "HLS", scheme: "http", path: "/index.m3u8"},
	}}
	cmd := &cobra.Command{
		Use:     "bench [flags] [-- FLAGS OF SERVE]",
		Short:   "Load a server with publishers and viewers, print what it cost",
		Long:    benchLong,
		Example: benchExample,
	}
	o.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && (!o.start || cmd.ArgsLenAtDash() != 0) {
			return errors.New("arguments are flags of headwater serve, with --start, behind --")
		}
		return o.run(cmd.Context(), args, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func (o *benchOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.start, "start", false, "start a server for the occasion, and stop it")
	f.IntVar(&o.pid, "pid", 0, "measure this `process` and its children")
	f.StringVar(&o.publish, "publish", "", "RTMP `URL` to publish to, with %d for the number")
	f.StringVar(&o.http, "http", "http://127.0.0.1:8080", "`URL` of the server's HTTP, which viewers' URLs are made of")
	f.IntVar(&o.publishers, "publishers", 1, "publishers; 0 if the streams exist already")
	f.IntVar(&o.streams, "streams", 0, "streams that are watched, in turn (default as many as publishers)")
	for i := range o.viewers {
		v := &o.viewers[i]
		f.IntVar(&v.count, v.flag, 0, v.title+" viewers")
	}
	for i := range o.viewers {
		v := &o.viewers[i]
		f.StringVar(&v.url, v.flag+"-url", "", "`URL` of "+v.title+" viewers, with %d for the number")
	}
	f.StringVar(&o.file, "file", "", "publish this FLV `file` again and again, not a synthetic stream")
	f.StringVar(&o.bitrate, "bitrate", "2600k", "bits per second of the synthetic stream")
	f.StringVar(&o.audio, "audio", "128k", "bits per second of its sound; 0 is none")
	f.IntVar(&o.fps, "fps", 30, "frames per second")
	f.DurationVar(&o.gop, "gop", 2*time.Second, "distance of keyframes")
	f.StringVar(&o.size, "size", "1280x720", "`WIDTHxHEIGHT`")
	f.IntVar(&o.ramp, "ramp", 500, "viewers that come each second")
	f.DurationVar(&o.warmup, "warmup", 5*time.Second, "how long everything runs before it is measured")
	f.DurationVar(&o.duration, "duration", 30*time.Second, "how long it is measured")
	f.IntVar(&o.sample, "sample", 0, "look into every so many `viewers` (default all up to 50 of a protocol, then about 50)")
	f.DurationVar(&o.stall, "stall", time.Second, "how long nothing may come before a viewer has stalled")
	f.Int64Var(&o.maxLost, "max-lost", 0, "`frames` that may be lost; -1 is any number")
	f.BoolVar(&o.insecure, "insecure", false, "accept every certificate")
	f.BoolVar(&o.json, "json", false, "print the report as JSON")
}

func (o *benchOptions) run(ctx context.Context, serveFlags []string, stdout, stderr io.Writer) error {
	config, err := o.config()
	if err != nil {
		return err
	}
	if o.start {
		server, err := startBenchServer(ctx, serveFlags)
		if err != nil {
			return failure{err}
		}
		defer server.stop()
		o.publish, o.http, config.PID = server.rtmp+"/live/bench%d", server.http, server.pid()
	}
	if err := o.addURLs(&config); err != nil {
		return err
	}
	if err := config.Validate(); err != nil {
		return err
	}
	live := newBenchScreen(stderr)
	config.Observe = live.show
	report, err := load.Run(ctx, config)
	live.end()
	if report != nil {
		if err := o.print(stdout, report); err != nil {
			return failure{err}
		}
	}
	if err == nil {
		err = o.verdict(report)
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// config is what the flags say, without URLs.
func (o *benchOptions) config() (load.Config, error) {
	c := load.Config{
		Publishers: o.publishers, Streams: o.streams, PID: o.pid,
		Ramp: o.ramp, Look: o.sample, Warmup: o.warmup, Duration: o.duration, Stall: o.stall, Insecure: o.insecure,
	}
	if o.start && (o.publish != "" || o.pid != 0 || o.publishers < 1) {
		return c, errors.New("--start makes its own server: it goes with neither --publish, --pid nor --publishers 0")
	}
	if !o.start && o.publishers > 0 && o.publish == "" {
		return c, errors.New("say where to publish, with --publish rtmp://HOST[:PORT]/APP/NAME, or --start a server")
	}
	var err error
	if o.publishers > 0 {
		c.Source, err = o.source()
	}
	return c, err
}

// addURLs adds the viewers, with URLs that are given or made as Headwater has them.
func (o *benchOptions) addURLs(c *load.Config) error {
	c.PublishURL = o.publish
	for _, v := range o.viewers {
		if v.count == 0 {
			continue
		}
		if v.url == "" {
			made, err := o.viewerURL(v)
			if err != nil {
				return err
			}
			v.url = made
		}
		c.Viewers = append(c.Viewers, load.Viewers{Protocol: v.protocol, URL: v.url, Count: v.count})
	}
	return nil
}

// viewerURL makes a URL of what is published where.
func (o *benchOptions) viewerURL(v benchViewers) (string, error) {
	if o.publish == "" {
		return "", fmt.Errorf("say what to watch, with --%s-url", v.flag)
	}
	where, _, _ := strings.Cut(o.publish, "?")
	_, rest, _ := strings.Cut(where, "://")
	_, path, _ := strings.Cut(rest, "/")
	if v.scheme == "" {
		return where, nil
	}
	base := strings.TrimRight(o.http, "/")
	if v.scheme == "ws" {
		base = "ws" + strings.TrimPrefix(base, "http")
	}
	return base + "/" + path + v.path, nil
}

// verdict says whether the server has done what was asked of it.
func (o *benchOptions) verdict(r *load.Report) error {
	for _, v := range r.Viewers {
		if missing := int64(v.Count) - v.Joined; missing > 0 && !r.Interrupted {
			return fmt.Errorf("%d of %d %s viewers never received anything", missing, v.Count, v.Protocol)
		}
		if v.Count > 0 && v.LeastBytes == 0 && !r.Interrupted { // an answer is not media yet
			return fmt.Errorf("not every %s viewer received something while it was measured", v.Protocol)
		}
	}
	if lost, of := r.Lost(); o.maxLost >= 0 && lost > o.maxLost {
		return fmt.Errorf("%d of %d frames were lost", lost, of)
	}
	return nil
}

func (o *benchOptions) print(w io.Writer, r *load.Report) error {
	if o.json {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	return printBench(w, r)
}
