package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newPublish() *cobra.Command {
	return &cobra.Command{
		Use:   "publish FILE URL",
		Short: "Push an FLV file to an RTMP URL in real time",
		Args:  cobra.ExactArgs(2),
		RunE: func(*cobra.Command, []string) error {
			return failure{errors.New("publish is being written")}
		},
	}
}
