package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages of all commands into a folder",
		Args:   cobra.ExactArgs(1),
		Hidden: true, // packagers need it, nobody else does
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return failure{fmt.Errorf("write manual pages: %w", err)}
			}
			// A fixed date: the same sources make the same pages.
			never := time.Unix(0, 0).UTC()
			head := &doc.GenManHeader{
				Title: "HEADWATER", Section: "1", Source: "Headwater", Manual: "Headwater", Date: &never,
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := doc.GenManTree(root, head, args[0]); err != nil {
				return failure{fmt.Errorf("write manual pages: %w", err)}
			}
			return nil
		},
	}
}
