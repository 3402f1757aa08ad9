// Package websocket is the server's side of RFC 6455 as far as a stream's viewer needs it:
// the opening handshake, headers of frames to send, and a reader of what the client sends.
//
//	|F|RSV|opcode|M| length 7 | length 16 or 64 if 126 or 127 | masking key 32 | payload |
//	 1  3     4   1                                             from clients          (5.2)
//
// A viewer has nothing to say but control frames, so data that it sends is checked and
// forgotten. No extension and no subprotocol is ever agreed on.
package websocket
