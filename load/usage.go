package load

import "time"

// Usage is what a process, with its children, has used and holds.
type Usage struct {
	CPU time.Duration // user and system time since it began
	RSS int64         // resident memory in bytes; pages that processes share count for each
	PSS int64         // the same with shared pages divided; 0 where it is not known
}
