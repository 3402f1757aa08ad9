// Command headwater is a live-video origin: encoders push RTMP in, players and a CDN pull HLS and HTTP-FLV
// out, and nothing is transcoded.
//
// This package is the command line: it reads flags and configuration (package config), wires the rooms
// together (wire.go, the only place that sees all of them), handles signals, and turns errors into exit
// codes:
//
//	0  ended as asked
//	1  failed while running
//	2  bad usage or configuration
//
// SIGTERM and SIGINT end the server cleanly, and a second one ends it at once. SIGHUP reads the
// configuration again.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
