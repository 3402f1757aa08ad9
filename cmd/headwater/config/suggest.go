package config

import "strings"

// keysAndGroups lists what may stand in a file: every key and every group.
func keysAndGroups() []string {
	var names []string
	for _, s := range table {
		group, _, _ := strings.Cut(s.key, ".")
		if len(names) == 0 || !strings.HasPrefix(names[len(names)-1], group+".") {
			names = append(names, group)
		}
		names = append(names, s.key)
	}
	return names
}

// SuggestFlag returns " (did you mean --rtmp.addr?)" for the name of a flag that does not exist, or "" when
// no setting is near.
func SuggestFlag(name string) string {
	flags := make([]string, len(table))
	for i, s := range table {
		flags[i] = "--" + s.key
	}
	return suggest("--"+name, flags)
}

// suggest returns " (did you mean X?)" with the candidate nearest to what was written, or "" when nothing is
// near. Near is a third of the length in edits, so that short words don't suggest each other.
func suggest(written string, candidates []string) string {
	best, bestDistance := "", max(2, len(written)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(written), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
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
