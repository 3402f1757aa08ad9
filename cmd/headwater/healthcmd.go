package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

const (
	// healthTimeout is shorter than the patience of Docker and Kubernetes, so that the reason gets out.
	healthTimeout = 3 * time.Second
	// maxReason is how much of an answer is shown.
	maxReason = 512
)

func newHealth() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the server of this machine whether it is ready",
		Long: `Ask the server that runs with the same configuration whether it is ready. It prints what /readyz of the
private listener (admin.addr) answers, and exits with 0 if the server is ready and with 1 if not: a probe for
containers that have neither a shell nor curl.`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.Load(s.sources())
		if err != nil {
			return err
		}
		reason, err := askReady(cmd.Context(), cfg.Admin.Addr)
		if err != nil {
			return failure{err}
		}
		fmt.Fprintln(cmd.OutOrStdout(), reason)
		return nil
	}
	return cmd
}

// askReady returns what /readyz answers; a server that is not ready is an error.
func askReady(ctx context.Context, addr string) (string, error) {
	if addr == "" {
		return "", fmt.Errorf("ask for readiness: admin.addr is off")
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(addr)+"/readyz", nil)
	if err != nil {
		return "", fmt.Errorf("ask for readiness: %w", err)
	}
	// A proxy of the environment is not meant for this machine.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return "", fmt.Errorf("ask for readiness: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxReason))
	if err != nil {
		return "", fmt.Errorf("ask for readiness: %w", err)
	}
	reason := strings.TrimSpace(string(text))
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("not ready: %s", reason)
	}
	return reason, nil
}

// reachable makes an address to connect to of one to listen on: "every address" becomes loopback.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
