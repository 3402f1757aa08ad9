package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server (no configuration needed)",
		Long: `Run the server. It needs no configuration.

A setting is a key in the configuration file, a flag and an environment variable at once:
rtmp.addr in headwater.yaml is --rtmp.addr is HEADWATER_RTMP_ADDR. Flags beat environment
beats file beats defaults.

SIGTERM and SIGINT take no more publishers and let those there are go on for drain.timeout; a second one
ends at once.
SIGHUP reads the configuration again, as does a change of its file. What is wrong changes nothing;
headwater config keys says what changes when. SIGUSR2 starts the program anew, a newer version as a rule, and hands
over to it if it can serve (docs/upgrade.md).`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		defer signal.Stop(hangups)
		upgrades := make(chan os.Signal, 1)
		if len(upgradeSignals) > 0 {
			signal.Notify(upgrades, upgradeSignals...)
			defer signal.Stop(upgrades)
		}
		r := newReloader(s.sources(), hangups)
		cfg, err := config.Load(s.sources())
		if err != nil {
			return err
		}
		r.watchToken(&cfg)
		r.logger, r.logs = newLogger(cmd.ErrOrStderr(), cfg.Log)
		for _, w := range cfg.Warnings() {
			r.logger.Warn("the configuration is unwise", "warning", w)
		}
		if err := serve(cmd.Context(), cfg, r, newUpgrader(upgrades), cmd.OutOrStdout()); err != nil {
			return failure{err}
		}
		return nil
	}
	return cmd
}

// serve runs the server until ctx ends, and then until everybody had their time to end cleanly. It says on
// stdout what a newcomer needs next, once every listener is bound.
func serve(ctx context.Context, cfg config.Config, r *reloader, u *upgrader, stdout io.Writer) error {
	defer runtime.KeepAlive(tuneMemory())
	s, err := wire(cfg, r.logger)
	if err != nil {
		return err
	}
	if cfg.HTTP.AccessLog == "-" {
		stdout = io.Discard // whoever reads the access log there expects nothing else
	}
	s.reloads, r.server, s.upgrades = r, s, u
	if s.before != nil {
		stdout = io.Discard // that was said by the process before
	}
	if err := welcome(stdout, s.welcomeInfo()); err != nil {
		// Nobody reads along, which is no reason not to serve.
		r.logger.Debug("welcome text was not written", "err", err)
	}
	// The reason why ctx ended is what was asked for, not a failure.
	if err := s.run(ctx); err != nil && !errors.Is(err, context.Cause(ctx)) {
		return err
	}
	r.logger.Info("ended as asked")
	return nil
}

// gcPercent lets the heap grow by a quarter before it is collected. Nearly all of it is
// payloads without pointers, which cost the collector nothing to keep, so collecting often
// is cheap and halves what a publisher costs in memory.
const gcPercent = 25

// ballast counts as heap, so that a small server does not collect each megabyte: a busy
// edge makes that every few hundred requests. Nobody writes to it, so the kernel never
// gives memory for it.
const ballast = 32 << 20

// tuneMemory sets the collector up, unless the operator has by GOGC. What it returns must
// be kept.
func tuneMemory() []byte {
	if _, set := os.LookupEnv("GOGC"); set {
		return nil
	}
	debug.SetGCPercent(gcPercent)
	return make([]byte, ballast)
}
