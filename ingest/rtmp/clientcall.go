package rtmp

import (
	"errors"
	"fmt"
)

// request sends a NetConnection command and waits for its answer, of which it
// returns the last value.
func (c *Client) request(name string, args ...any) (any, error) {
	c.transaction++
	c.command(0, c.transaction, name, args...)
	for {
		answer, err := c.nextCommand()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		switch {
		case answer.transaction != c.transaction:
		case answer.name == "_result":
			return answer.arg(len(answer.args) - 1), nil
		case answer.name == "_error":
			return nil, refusedByPeer(name, answer)
		}
	}
}

// command sends a command; it is written before the next read.
func (c *Client) command(streamID uint32, transaction float64, name string, args ...any) {
	values := append([]any{name, transaction}, args...)
	c.send(appendCommand(nil, csidCommand, streamID, c.outSize, values...))
}

// nextCommand reads up to the next command and returns it.
func (c *Client) nextCommand() (*command, error) {
	for {
		m, err := c.chunks.next()
		if err != nil {
			return nil, noEOF(err)
		}
		if c.control(m) || (m.kind != typeCommandAMF0 && m.kind != typeCommandAMF3) {
			continue
		}
		if cmd, ok := parseCommand(m); ok {
			return &cmd, nil
		}
	}
}

// refusedByPeer makes an error of an _error answer or an onStatus. The server's
// words may quote the URL: they are redacted.
func refusedByPeer(op string, answer *command) error {
	text := "refused"
	if info, ok := AsObject(answer.arg(len(answer.args) - 1)); ok {
		text += " with " + redactText(info.String("code")+": "+info.String("description"))
	}
	return fault(ReasonRefusedByPeer, op, text)
}

// waitStatus waits for an onStatus with a code; one with level "error" is a
// refusal.
func (c *Client) waitStatus(op, code string) error {
	for {
		cmd, err := c.nextCommand()
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		if cmd.name == "_error" && cmd.transaction == c.transaction {
			return refusedByPeer(op, cmd)
		}
		info, ok := AsObject(cmd.arg(0))
		if cmd.name != "onStatus" || !ok {
			continue
		}
		switch {
		case info.String("code") == code:
			return nil
		case info.String("level") == levelError:
			return refusedByPeer(op, cmd)
		}
	}
}

func (c *Client) createStream() error {
	id, err := c.request("createStream", nil)
	if err != nil {
		return err
	}
	n, ok := id.(float64)
	if !ok || n < 0 || n > 1<<32-1 {
		return errors.New("createStream: the answer is not a stream id")
	}
	c.streamID = uint32(n)
	return nil
}
