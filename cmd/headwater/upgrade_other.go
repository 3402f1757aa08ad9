//go:build !unix

package main

import "os"

// upgradeSignals ask for an upgrade; there are none where sockets cannot be handed over.
var upgradeSignals []os.Signal
