package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

func newConfig() *cobra.Command {
	return group("config", "Check and show the configuration", newConfigCheck(), newConfigShow(), newConfigKeys())
}

func newConfigCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Validate a configuration file, report every fault",
		Args:  cobra.MaximumNArgs(1),
	}
	s := addSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if s.file != "" {
				return fmt.Errorf("the file is named twice: %s and --config %s", args[0], s.file)
			}
			s.file = args[0]
		}
		cfg, err := config.Load(s.sources())
		if err != nil {
			return err
		}
		for _, w := range cfg.Warnings() {
			fmt.Fprintf(cmd.ErrOrStderr(), "headwater: warning: %s\n", w)
		}
		if used := s.sources().UsedFile(); used != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid\n", used)
			return nil
		}
		fmt.Fprintf(cmd.OutOrStdout(), "There is no %s; defaults, environment and flags are valid\n", config.DefaultFile)
		return nil
	}
	return cmd
}

func newConfigShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the effective configuration, secrets hidden",
		Args:  cobra.NoArgs,
	}
	s := addSettings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.Load(s.sources())
		if err != nil {
			return err
		}
		return cfg.WriteYAML(cmd.OutOrStdout())
	}
	return cmd
}

func newConfigKeys() *cobra.Command {
	return &cobra.Command{
		Use:   "keys",
		Short: "List all settings as a Markdown table",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return config.WriteTable(cmd.OutOrStdout())
		},
	}
}
