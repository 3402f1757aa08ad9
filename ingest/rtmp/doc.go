// Package rtmp is Headwater's own RTMP stack: handshake, chunk stream, AMF0
// and the NetConnection/NetStream commands, for servers and for clients. It
// moves messages and knows nothing of streams, codecs or who may do what.
//
// # Server
//
// A ServerConn wraps one accepted connection. One goroutine, the reader, calls
// Handshake and then Next until Next fails:
//
//	conn := rtmp.NewServerConn(nc, rtmp.ServerConfig{})
//	defer conn.Close()
//	if err := conn.Handshake(ctx); err != nil { ... }
//	for {
//		ev, err := conn.Next()
//		if err != nil { return rtmp.Reason(err) }
//		switch ev := ev.(type) {
//		case *rtmp.PublishRequest: // conn.Authorised(); conn.AcceptPublish(ev), or conn.Reject(ev, ...)
//		case *rtmp.PlayRequest:    // conn.AcceptPlay(ev), or conn.Reject(ev, ...)
//		case *rtmp.Media:          // audio, video or script data of an accepted publication
//		case *rtmp.Unpublish:      // an accepted publication has ended
//		}
//	}
//
// Everything that needs no decision (connect, createStream, releaseStream,
// pings, acknowledgements, chunk sizes, unknown commands) is answered inside.
// Every accepted publication is ended by exactly one Unpublish and every
// accepted play by exactly one Stop, also when the connection breaks: the
// error comes after them.
//
// All writing methods and Close may be called from any goroutine.
//
// # Client
//
// Dial connects to an RTMP URL, then Publish or Play starts the stream, and
// WriteMedia or ReadMedia moves messages.
//
// # Payload memory
//
// Bytes are read from the socket into slabs of 128 to 512 KiB, the larger the
// faster they fill, and the payload of a message is a slice of the slab that the
// socket was read into; only a message of more than a quarter of a slab, or one
// whose chunks are interleaved with others', has an array of its own. The payload
// is never written again, may be kept for ever and needs no release: a slab is
// garbage when no payload in it is referenced. The other side of the coin is that
// a payload of 20 bytes that is kept pins a slab. A consumer that keeps something
// small for long (a decoder configuration, metadata) must copy it; keeping a run
// of media, such as a group of pictures, pins at most one slab at each end.
//
// # Bounds
//
// Memory is taken for bytes that came, never for bytes that were declared.
// Before Authorised a connection holds an 8 KiB buffer and at most 128 KiB of
// partial messages; afterwards the limits of ServerConfig hold. All other
// bounds are named constants in limits.go.
package rtmp
