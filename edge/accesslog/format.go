package accesslog

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// Format renders an entry as one line, with its line break.
type Format func(dst []byte, e *Entry) []byte

// JSON renders an object a line, always with all keys:
//
//	{"time":"2026-01-02T15:04:05.678Z","client":"192.0.2.7","forwarded_for":"","method":"GET","path":"/live/test.flv",
//	"query":"","proto":"HTTP/1.1","status":200,"bytes":1234567,"ttfb":0.001,"duration":12.345,"referer":"",
//	"user_agent":"…","request_id":"…","stream":"live/test","protocol":"flv"}
func JSON(dst []byte, e *Entry) []byte {
	dst = append(dst, `{"time":"`...)
	dst = e.Time.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `","client":"`...)
	dst = appendClient(dst, e)
	dst = append(dst, '"')
	text := func(key, value string) {
		dst = append(append(append(dst, `,"`...), key...), `":"`...)
		dst = append(appendEscaped(dst, value), '"')
	}
	number := func(key string) {
		dst = append(append(append(dst, `,"`...), key...), `":`...)
	}
	text("forwarded_for", cut(e.Forwarded, maxForwarded))
	text("method", cut(e.Method, 16))
	text("path", cut(Path(e.Path), maxPath))
	text("query", Query(e.RawQuery))
	text("proto", e.Proto)
	number("status")
	dst = strconv.AppendInt(dst, int64(e.Status), 10)
	number("bytes")
	dst = strconv.AppendUint(dst, e.Bytes, 10)
	number("ttfb")
	dst = appendSeconds(dst, e.FirstByte)
	number("duration")
	dst = appendSeconds(dst, e.Duration)
	text("referer", cut(Referer(e.Referer), maxPath))
	text("user_agent", cut(e.UserAgent, maxAgent))
	text("request_id", e.RequestID)
	text("stream", e.Stream)
	text("protocol", e.Protocol)
	return append(dst, "}\n"...)
}

// Combined renders the combined log format that log analysers read, with six fields behind it:
//
//	CLIENT - - [02/Jan/2006:15:04:05 +0000] "GET /live/test.flv HTTP/1.1" 200 1234567 "REFERER" "AGENT"
//	"FORWARDED-FOR" REQUEST-ID STREAM PROTOCOL TTFB DURATION
//
// all on one line, "-" for what is not there. Times are in seconds.
func Combined(dst []byte, e *Entry) []byte {
	dst = appendClient(dst, e)
	dst = append(dst, " - - ["...)
	dst = e.Time.UTC().AppendFormat(dst, "02/Jan/2006:15:04:05 -0700")
	dst = append(dst, `] "`...)
	dst = appendEscaped(dst, cut(e.Method, 16))
	dst = append(dst, ' ')
	dst = appendEscaped(dst, cut(Path(e.Path), maxPath))
	if e.RawQuery != "" {
		dst = append(dst, '?')
		dst = appendEscaped(dst, Query(e.RawQuery))
	}
	dst = append(append(append(dst, ' '), e.Proto...), `" `...)
	dst = strconv.AppendInt(dst, int64(e.Status), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, e.Bytes, 10)
	for _, quoted := range []string{cut(Referer(e.Referer), maxPath), cut(e.UserAgent, maxAgent), cut(e.Forwarded, maxForwarded)} {
		dst = append(dst, ` "`...)
		dst = append(appendEscaped(dst, orDash(quoted)), '"')
	}
	for _, bare := range []string{e.RequestID, e.Stream, e.Protocol} {
		dst = append(append(dst, ' '), orDash(bare)...)
	}
	dst = appendSeconds(append(dst, ' '), e.FirstByte)
	dst = appendSeconds(append(dst, ' '), e.Duration)
	return append(dst, '\n')
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func appendClient(dst []byte, e *Entry) []byte {
	if !e.Client.IsValid() {
		return append(dst, '-')
	}
	return e.Client.Addr().Unmap().WithZone("").AppendTo(dst)
}

// appendSeconds appends a duration in seconds, with milliseconds.
func appendSeconds(dst []byte, d time.Duration) []byte {
	return strconv.AppendFloat(dst, max(0, d).Seconds(), 'f', 3, 64)
}

// cut returns at most n bytes of a text. What it cuts a character in two of is escaped.
func cut(text string, n int) string { return text[:min(len(text), n)] }

// appendEscaped appends a text as it may stand between double quotes, in JSON and in the combined format: what could end
// the text or the line, or move the cursor of a terminal, is escaped, and what is not UTF-8 replaced.
func appendEscaped(dst []byte, text string) []byte {
	const digits = "0123456789abcdef"
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c == '"' || c == '\\' {
				dst = append(dst, '\\', c)
			} else if c < ' ' || c == 0x7f {
				dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
			} else {
				dst = append(dst, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		// The second half of Latin-1 begins with control characters, too, and U+2028 and U+2029 end lines for some.
		if r == utf8.RuneError || r < 0xa0 || r == '\u2028' || r == '\u2029' {
			dst = append(dst, `\ufffd`...)
		} else {
			dst = append(dst, text[i:i+size]...)
		}
		i += size
	}
	return dst
}
