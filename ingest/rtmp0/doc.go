// Package rtmp is the RTMP wire, server and client side: handshake, chunk stream,
// AMF0, control messages and commands. It knows nothing of streams, keys or viewers.
//
// A server wraps each accepted connection:
//
//	conn := rtmp.NewServerConn(nc, config)
//	if err := conn.Handshake(); err != nil { … }
//	for {
//		event, err := conn.Next()
//		switch event.Kind { … }
//	}
//
// Next answers by itself whatever needs no decision (connect, createStream, pings,
// acknowledgements, unknown commands) and returns what does: somebody wants to publish
// or play, media have come, a publication ended.
//
// # Memory
//
// Payloads are read straight from the connection into their final place, which is cut
// from slabs shared by the messages of a connection. Memory grows as bytes arrive and
// never as declared; before Authorised is called a connection may hold far less.
//
// Sources: Adobe RTMP 1.0 (2012), AMF 0 (2007), Enhanced RTMP v2 (Veovera).
package rtmp
