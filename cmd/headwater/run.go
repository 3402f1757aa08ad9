package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// The exit codes, which scripts depend on.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// failure is an error of a command that was understood and began to run. Every other error that a command
// returns is one of usage or configuration.
type failure struct{ err error }

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

// run runs one command line and returns its exit code. It ends when ctx does, or on SIGINT and SIGTERM.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := untilSignal(ctx)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	report(stderr, err)
	if failed := (failure{}); errors.As(err, &failed) {
		return exitFailed
	}
	return exitUsage
}

// untilSignal returns a context that SIGINT and SIGTERM end. After the first signal the second one has its
// default effect again: it ends the process at once.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// report prints an error, the faults of a configuration one per line.
func report(w io.Writer, err error) {
	var faults config.Faults
	if !errors.As(err, &faults) {
		fmt.Fprintf(w, "headwater: %v\n", err)
		return
	}
	noun := "faults"
	if len(faults) == 1 {
		noun = "fault"
	}
	fmt.Fprintf(w, "headwater: the configuration has %d %s:\n", len(faults), noun)
	for _, f := range faults {
		fmt.Fprintf(w, "  %v\n", f)
	}
}

func newRoot() *cobra.Command {
	root := group("headwater", "A live-video origin: RTMP in, HLS and HTTP-FLV out",
		newServe(), newPublish(), newBench(), newHealth(), newConfig(), newJournal(), newToken(), newVersion(), newMan())
	root.SilenceErrors = true // run reports them
	root.SilenceUsage = true
	root.CompletionOptions = cobra.CompletionOptions{HiddenDefaultCmd: true}
	root.SetFlagErrorFunc(flagError)
	return root
}

// flagError says which flag may have been meant, and where all of them are listed.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	suggestion := ""
	if errors.As(err, &unknown) && cmd.Flags().Lookup("rtmp.addr") != nil {
		suggestion = config.SuggestFlag(unknown.GetSpecifiedName())
	}
	return fmt.Errorf("%w%s\nSee %s --help", err, suggestion, cmd.CommandPath())
}

// settings are the flags of a command that reads the configuration.
type settings struct {
	file  string
	flags *pflag.FlagSet
}

func addSettings(cmd *cobra.Command) *settings {
	s := &settings{flags: cmd.Flags()}
	s.flags.SortFlags = false
	s.flags.StringVar(&s.file, "config", "",
		"configuration `file` (default "+config.DefaultFile+", if there is one; also "+config.FileVariable+")")
	config.AddFlags(s.flags)
	return s
}

func (s *settings) sources() config.Sources {
	return config.Sources{File: s.file, Flags: s.flags}
}

// group makes a command that only has subcommands: alone it explains itself, with anything else it is misused.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true, SuggestionsMinimumDistance: 2,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		meant := ""
		if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
			meant = " (did you mean " + strings.Join(s, " or ") + "?)"
		}
		return fmt.Errorf("unknown command %q for %q%s\nSee %[2]s --help", args[0], cmd.CommandPath(), meant)
	}
	cmd.AddCommand(commands...)
	return cmd
}
