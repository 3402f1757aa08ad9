// Package hooks tells webhooks what happens: it posts events to the endpoints of the configuration.
//
//	Bus ──▶ pump ──▶ queue on disk ──▶ lane ──POST──▶ endpoint
//	                 (4 for each endpoint, a stream's events all in one)
//
// One goroutine, the pump, follows the bus and writes each event to the queues of every endpoint before
// it takes the next. A lane is a queue and the goroutine that delivers from it: the oldest event, again
// and again until the endpoint has taken it, then the next. So an endpoint gets every event at least once,
// and those of a stream in their order, whatever fails in between: the network, the endpoint, this
// process. What is in a queue survives kill -9; a torn record at its end is cut off.
//
// A queue has a bound. What finds it full is dropped and counted, and the next event that fits is
// preceded by one of type events.missed. Nothing here is on the way of media: publishers do not wait for
// the bus, and the bus does not wait for the pump.
package hooks
