package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/remux"
)

func newToken() *cobra.Command {
	return group("token", "Make a signed publish or play URL",
		newTokenFor(auth.Publish, "Sign a URL for publishing"), newTokenFor(auth.Play, "Sign URLs for watching"), newTokenKey())
}

// maxTTL is longer than any ticket should live, and far from overflowing.
const maxTTL = 10 * 366 * 24 * time.Hour

// tokenOptions are what a token is made of, besides the configuration.
type tokenOptions struct {
	ttl     time.Duration
	address string
	host    string
	bare    bool
}

func newTokenFor(action auth.Action, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   string(action) + " APP/NAME",
		Short: short,
		Long: short + `, with the secret of auth.secret or auth.secret_file.

The server takes it if auth.publish or auth.watch has signed. docs/auth.md says how other programs
make such tokens.`,
		Args: cobra.ExactArgs(1),
	}
	var o tokenOptions
	cmd.Flags().DurationVar(&o.ttl, "ttl", 2*time.Hour, "how long it is good")
	cmd.Flags().StringVar(&o.address, "address", "", "the only `IP` address from which it is good (default any)")
	cmd.Flags().StringVar(&o.host, "host", "", "`name` of the server in the URLs (default this machine's address)")
	cmd.Flags().BoolVar(&o.bare, "bare", false, "print the token alone")
	s := addSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := config.Load(s.sources())
		if err != nil {
			return err
		}
		return makeToken(cmd.OutOrStdout(), cfg, action, args[0], o)
	}
	return cmd
}

func makeToken(w io.Writer, cfg config.Config, action auth.Action, stream string, o tokenOptions) error {
	app, name, _ := strings.Cut(stream, "/")
	if _, err := remux.ParseStreamName(app, name); err != nil {
		return fmt.Errorf("%q is not APP/NAME: %w", stream, err)
	}
	if o.ttl < time.Second || o.ttl > maxTTL {
		return fmt.Errorf("--ttl is not between 1s and 10 years")
	}
	secrets, err := cfg.Auth.Secrets()
	if err != nil {
		return err
	}
	if len(secrets) == 0 {
		return errors.New("there is nothing to sign with: set auth.secret or auth.secret_file, as the server has it")
	}
	g := auth.Grant{Action: action, Stream: stream, Expires: time.Now().Add(o.ttl)}
	if o.address != "" {
		if g.Address, err = netip.ParseAddr(o.address); err != nil {
			return fmt.Errorf("--address: %q is not an IP address", o.address)
		}
	}
	token := auth.Sign([]byte(secrets[0]), g)
	if o.bare {
		_, err = fmt.Fprintln(w, token)
		return err
	}
	if o.host == "" {
		o.host = reachableHost()
	}
	return printToken(w, cfg, g, token, o.host)
}

// printToken writes where the token goes: for people, and one URL a line for those who cut.
func printToken(w io.Writer, cfg config.Config, g auth.Grant, token, host string) error {
	var b bytes.Buffer
	line := func(what, where string) { fmt.Fprintf(&b, "%-15s  %s\n", what, where) }
	app, name, _ := strings.Cut(g.Stream, "/")
	rtmp := urlOf("rtmp", listening(cfg.RTMP.Addr), "1935", host)
	if rtmp == "" {
		rtmp = urlOf("rtmps", listening(cfg.RTMPS.Addr), "443", host)
	}
	web := urlOf("http", listening(cfg.HTTP.Addr), "80", host)
	if web == "" {
		web = urlOf("https", listening(cfg.HTTPS.Addr), "443", host)
	}
	query := "?token=" + token
	if g.Action == auth.Publish {
		line("OBS server", rtmp+"/"+app)
		line("OBS stream key", name+query)
		line("URL", rtmp+"/"+g.Stream+query)
	} else {
		switch {
		case web == "" || !cfg.HLS.Enabled:
		case cfg.Auth.HLSToken == config.TokenPath:
			line("HLS", web+"/t/"+token+"/"+g.Stream+"/index.m3u8")
		default:
			line("HLS", web+"/"+g.Stream+"/index.m3u8"+query)
		}
		if web != "" && cfg.FLV.Enabled {
			line("HTTP-FLV", web+"/"+g.Stream+".flv"+query)
		}
		if rtmp != "" {
			line("RTMP", rtmp+"/"+g.Stream+query)
		}
	}
	line("expires", g.Expires.UTC().Format(time.RFC3339))
	line("token ID", auth.SignedTokenID(token))
	_, err := w.Write(b.Bytes())
	return err
}

// listening is the address of a listener as it would be bound: an address without a host is every one.
func listening(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		return net.JoinHostPort("0.0.0.0", port)
	}
	return addr
}

func newTokenKey() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Make a random publish key or secret, and its hash for auth.keys_file",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var random [20]byte
			if _, err := rand.Read(random[:]); err != nil {
				return failure{fmt.Errorf("make a key: %w", err)}
			}
			key := hex.EncodeToString(random[:])
			hash := sha256.Sum256([]byte(key))
			fmt.Fprintf(cmd.OutOrStdout(), "key   %s\nhash  sha256:%x\n", key, hash)
			return nil
		},
	}
}
