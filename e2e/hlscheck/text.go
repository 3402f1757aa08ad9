package hlscheck

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitLines applies the rules on the text itself, RFC 8216 4.1.
func splitLines(v Version, f *findings) ([]string, bool) {
	if len(v.Body) == 0 {
		f.add("playlist-empty-body", v.URL, v.At, "the body is empty")
		return nil, false
	}
	if !utf8.Valid(v.Body) || bytes.HasPrefix(v.Body, []byte("\xef\xbb\xbf")) {
		f.add("playlist-not-utf8", v.URL, v.At, "the playlist is not UTF-8 without a byte order mark")
	}
	text := string(v.Body)
	if !strings.HasSuffix(text, "\n") {
		f.add("playlist-line-unfinished", v.URL, v.At, "the last line does not end with a line feed")
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		lines[i] = line
		if strings.IndexFunc(line, unicode.IsControl) >= 0 {
			f.add("playlist-control-character", v.URL, v.At, "line %d holds a control character: %q", i+1, line)
		}
		if line != strings.TrimSpace(line) {
			f.add("playlist-stray-space", v.URL, v.At, "line %d begins or ends with white space: %q", i+1, line)
		}
	}
	if lines[0] != "#EXTM3U" {
		f.add("playlist-no-header", v.URL, v.At, "the first line is %q, not #EXTM3U", lines[0])
		return nil, false
	}
	return lines, true
}
