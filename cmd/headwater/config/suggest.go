package config

import (
	"slices"
	"strings"
)

// keysLike lists what a misspelt key of a file can have meant: the keys of its group if there is such a
// group, else every key, and every group if it has no dot.
func keysLike(written string) []string {
	group, _, dotted := strings.Cut(written, ".")
	var keys, groups []string
	for _, s := range table {
		g, _, _ := strings.Cut(s.key, ".")
		if !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
		if g == group || !isGroup(group) {
			keys = append(keys, s.key)
		}
	}
	if dotted {
		return keys
	}
	return append(groups, keys...)
}

// SuggestFlag returns " (did you mean --rtmp.addr?)" for the name of a flag that does not exist, or "" when
// no setting is near.
func SuggestFlag(name string) string {
	var flags []string
	for _, key := range keysLike(name) {
		if strings.Contains(key, ".") {
			flags = append(flags, "--"+key)
		}
	}
	return suggest("--"+name, flags)
}

// suggest returns " (did you mean X?)" with the candidate nearest to what was written, or "" when nothing is
// near.
func suggest(written string, candidates []string) string {
	best, bestDistance := "", maxDistance+1
	for _, c := range candidates {
		if d := keyDistance(strings.ToLower(written), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

// maxDistance is the most edits after which a key still looks like another one.
const maxDistance = 5

// keyDistance is how far two keys are apart, or more than maxDistance if they have nothing to do with each
// other. Words that both have at the same end count for nothing: storage.path is not near storage.kind.
func keyDistance(a, b string) int {
	const boundaries = "._"
	for {
		i, j := strings.IndexAny(a, boundaries), strings.IndexAny(b, boundaries)
		if i < 0 || i != j || a[:i+1] != b[:j+1] {
			break
		}
		a, b = a[i+1:], b[j+1:]
	}
	for {
		i, j := strings.LastIndexAny(a, boundaries), strings.LastIndexAny(b, boundaries)
		if i < 0 || j < 0 || a[i:] != b[j:] {
			break
		}
		a, b = a[:i], b[:j]
	}
	d := distance(a, b)
	abbreviated := min(len(a), len(b)) >= 3 && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
	if !abbreviated && d > max(1, max(len(a), len(b))*2/5) {
		return maxDistance + 1
	}
	return d
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours that turn a into b.
// Both are cut at 64 bytes, which is longer than any key.
func distance(a, b string) int {
	const longest = 64
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
