package rtmp

import (
	"bytes"
	"io"
	"slices"
	"testing"
)

// checkReplies compares what the encoder was told with what it asked: each command with a transaction has its one
// answer, none is an error, and it hears that its publication began and ended.
func checkReplies(t *testing.T, c capture, replies []byte) {
	t.Helper()
	asked := map[float64]string{}
	told := map[string]int{}
	for _, cmd := range commandsOf(t, c.read(t)[handshakeBytes:]) {
		if cmd.transaction != 0 {
			asked[cmd.transaction] = cmd.name
		}
		told["asked "+cmd.name]++
	}
	for _, cmd := range commandsOf(t, replies[handshakeBytes:]) {
		switch cmd.name {
		case "_result":
			if asked[cmd.transaction] == "" {
				t.Errorf("an answer to %v, which was not asked or has one already", cmd.transaction)
			}
			delete(asked, cmd.transaction)
		case "onStatus":
			info, _ := AsObject(cmd.arg(0))
			if level, _ := info.Get("level").(string); level != levelStatus {
				t.Errorf("the encoder is told %v", info)
			}
			code, _ := info.Get("code").(string)
			told[code]++
		case "_error":
			t.Errorf("an error is the answer to %s", asked[cmd.transaction])
		default:
			told[cmd.name]++
		}
	}
	for transaction, name := range asked {
		if name != "publish" { // which onStatus answers
			t.Errorf("%s, %v, has no answer", name, transaction)
		}
	}
	if told[CodePublishStart] != 1 || told[CodeUnpublish] != 1 {
		t.Errorf("the encoder is told %v", told)
	}
	for command, notice := range map[string]string{"FCPublish": "onFCPublish", "FCUnpublish": "onFCUnpublish"} {
		if told["asked "+command] != told[notice] {
			t.Errorf("%s has %d times the answer %s", command, told[notice], notice)
		}
	}
}

// commandsOf returns the commands among the messages of a chunk stream.
func commandsOf(t *testing.T, chunks []byte) []command {
	t.Helper()
	var all []command
	c := newChunkReader(bytes.NewReader(chunks), new(counters))
	c.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
	for {
		m, err := c.next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.kind == typeCommandAMF0 {
			cmd, ok := parseCommand(m)
			if !ok {
				t.Fatal("a command that is none")
			}
			cmd.args = slices.Clone(cmd.args)
			all = append(all, cmd)
		}
	}
}
