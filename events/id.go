package events

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// ID identifies an event: the run of the server, and the event's number in it. Its text is
// "RUN-NUMBER", such as "19ab03cd4e5f-17".
type ID struct {
	Run    string
	Number uint64
}

// ErrID reports a text that is no ID.
var ErrID = errors.New("an event ID is RUN-NUMBER, such as 19ab03cd4e5f-17")

// maxRun bounds the run of an ID that a client shows; a real one has 11 to 16 bytes.
const maxRun = 32

// String returns the text of the ID, "" for the zero ID.
func (id ID) String() string {
	if id.Run == "" {
		return ""
	}
	return id.Run + "-" + strconv.FormatUint(id.Number, 10)
}

// MarshalJSON implements json.Marshaler.
func (id ID) MarshalJSON() ([]byte, error) { return json.Marshal(id.String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (id *ID) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	if text == "" {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(text)
	*id = parsed
	return err
}

// ParseID reads the text of an ID; the error is ErrID.
func ParseID(text string) (ID, error) {
	run, number, ok := strings.Cut(text, "-")
	if !ok || run == "" || len(run) > maxRun || strings.Trim(run, "0123456789abcdef") != "" {
		return ID{}, ErrID
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != number {
		return ID{}, ErrID
	}
	return ID{Run: run, Number: n}, nil
}
