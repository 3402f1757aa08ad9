package admin

import (
	"encoding/base64"
	"net/http"
	"strconv"
)

// maxPage is how many items an answer has at most, and unless it is asked for less.
const maxPage = 1_000

// maxCursor bounds a cursor: a stream's name has 257 bytes, which are 343 in base64.
const maxCursor = 512

// page is what a request says of the part of a list that it wants.
type page struct {
	limit int
	// after is the key of the last item that the client has, "" for none.
	after string
}

// parsePage reads ?limit= and ?cursor=, or answers and returns false.
func parsePage(w http.ResponseWriter, r *http.Request) (page, bool) {
	q := r.URL.Query()
	p := page{limit: maxPage}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			problem(w, http.StatusBadRequest, "bad-parameter", "limit is a number from 1 to "+strconv.Itoa(maxPage))
			return page{}, false
		}
		p.limit = n
	}
	if text := q.Get("cursor"); text != "" {
		key, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(text) > maxCursor {
			problem(w, http.StatusBadRequest, "bad-parameter", "cursor is not one that this API gave out")
			return page{}, false
		}
		p.after = string(key)
	}
	return p, true
}

// number reads the key of a list whose keys are numbers, 0 for none, or answers and returns false.
func (p page) number(w http.ResponseWriter) (uint64, bool) {
	if p.after == "" {
		return 0, true
	}
	n, err := strconv.ParseUint(p.after, 10, 64)
	if err != nil {
		problem(w, http.StatusBadRequest, "bad-parameter", "cursor is not one that this API gave out")
		return 0, false
	}
	return n, true
}

// cursor makes the cursor of the page behind an item.
func cursor(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// cut returns the page of a list that is sorted by key, and the cursor of the next one, "" if
// there is none.
func cut[T any](p page, list []T, key func(T) string) (items []T, next string) {
	first := 0
	for first < len(list) && p.after != "" && key(list[first]) <= p.after {
		first++
	}
	list = list[first:]
	if len(list) <= p.limit {
		return list, ""
	}
	return list[:p.limit], cursor(key(list[p.limit-1]))
}
